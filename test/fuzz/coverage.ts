import { type Profiler, Session } from 'node:inspector';
import { fileURLToPath } from 'node:url';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const OURS = ['core/', 'policies/'].map((folder) => `file://${PROJECT}${folder}`);

/** Which blocks of our code ran, by V8's own counters: nothing is compiled in, and what is tested is what ships. */
export class Coverage {
  readonly #session = new Session();

  constructor() {
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /**
   * Blocks that ran since the last call; with `counted`, each with the magnitude of how often, so that a loop that runs
   * a hundred times is news after one that ran ten times.
   */
  take(counted: boolean): readonly string[] {
    const { result } = this.#post('Profiler.takePreciseCoverage') as Profiler.TakePreciseCoverageReturnType;
    const features: string[] = [];
    for (const { scriptId, url, functions } of result) {
      if (!OURS.some((folder) => url.startsWith(folder))) continue;
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count === 0) continue;
          const magnitude = counted ? `x${Math.floor(Math.log2(count))}` : '';
          features.push(`${scriptId}:${startOffset}-${endOffset}${magnitude}`);
        }
      }
    }
    return features;
  }

  close(): void {
    this.#session.disconnect();
  }

  #post(method: string, params: object = {}): unknown {
    let answer: unknown;
    // Calls of a session in the same thread answer at once.
    this.#session.post(method, params, (error: Error | null, result?: object) => {
      if (error) throw error;
      answer = result;
    });
    return answer;
  }
}
