import { styleText } from 'node:util';

/** Tells what happens, and remembers whether each step was so. */
export class Story {
  readonly #write: (line: string) => void;
  readonly #started = Date.now();
  passed = 0;
  failed = 0;

  constructor(write: (line: string) => void) {
    this.#write = write;
  }

  chapter(title: string): void {
    this.#write(`\n${styleText('bold', title)}`);
  }

  tell(line: string): void {
    this.#write(`  ${line}`);
  }

  /** One step: told with its result, counted, and its error shown. Later steps may need it, so an error ends the story. */
  async step<T>(what: string, work: () => Promise<T>, detail?: (result: T) => string): Promise<T> {
    try {
      const result = await work();
      this.passed += 1;
      const more = detail === undefined ? '' : `  ${styleText('dim', detail(result))}`;
      this.#write(`  ${styleText('green', '✓')} ${what}${more}`);
      return result;
    } catch (error) {
      this.failed += 1;
      this.#write(`  ${styleText('red', '✗')} ${what}`);
      throw error;
    }
  }

  get seconds(): number {
    return Math.round((Date.now() - this.#started) / 1000);
  }
}

/** Asks again until `look` gives something, or fails after a while, saying what it waited for. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined>,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`${what} did not happen within ${timeoutMs / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
}
