import { backoff } from '../../platform/backoff.ts';
import type { Logger } from '../../platform/logging.ts';

/** Collects ids and hands them on together a moment later; after a failure again, with backoff. */
export class Reloader {
  readonly #load: (ids: readonly string[]) => Promise<void>;
  readonly #logger: Logger;
  readonly #ids = new Set<string>();
  readonly #wait = backoff({ firstMs: 200, longestMs: 5000 });
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(load: (ids: readonly string[]) => Promise<void>, logger: Logger) {
    this.#load = load;
    this.#logger = logger;
  }

  add(id: string): void {
    this.#ids.add(id);
    this.#wake(COLLECT_MS);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  #wake(ms: number): void {
    if (this.#timer || this.#running || this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.#round().then((next) => {
        this.#running = undefined;
        if (this.#ids.size > 0) this.#wake(next);
      });
    }, ms);
  }

  async #round(): Promise<number> {
    const ids = [...this.#ids].slice(0, MAX_IDS);
    for (const id of ids) this.#ids.delete(id);
    try {
      await this.#load(ids);
      this.#wait.reset();
      return COLLECT_MS;
    } catch (error) {
      this.#logger.warn({ err: error, nodes: ids.length }, 'nodes could not be read again yet');
      for (const id of ids) this.#ids.add(id);
      return this.#wait.next();
    }
  }
}

const COLLECT_MS = 10;
const MAX_IDS = 1000;
