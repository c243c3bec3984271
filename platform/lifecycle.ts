import type { Logger } from './logging.ts';

export interface Closable {
  close(): Promise<void>;
}

const DEADLINE_MS = 15_000;

/** What was opened, closed in reverse order. One failure does not keep the others open. */
export class Lifecycle implements Closable {
  readonly #parts: { readonly name: string; readonly part: Closable }[] = [];
  readonly #logger: Logger;
  #closing: Promise<void> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Remembers a part to close, and gives it back. */
  own<T extends Closable>(name: string, part: T): T {
    this.#parts.push({ name, part });
    return part;
  }

  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    for (const { name, part } of this.#parts.reverse()) {
      await part
        .close()
        .catch((error: unknown) => this.#logger.warn({ err: error, part: name }, 'could not close'));
    }
  }
}

/** Resolves at the first SIGTERM or SIGINT. A second one, or a close that takes too long, ends the process. */
export async function untilSignal(logger: Logger, deadlineMs = DEADLINE_MS): Promise<NodeJS.Signals> {
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, resolve);
  });
  logger.info({ signal }, 'closing');
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => process.exit(130));
  setTimeout(() => {
    logger.error('closing took too long');
    process.exit(1);
  }, deadlineMs).unref();
  return signal;
}
