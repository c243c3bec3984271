import { pause } from '../platform/backoff.ts';
import type { Logger } from '../platform/logging.ts';

interface RepeatOptions {
  /** What is done, for the log. */
  readonly name: string;
  readonly run: (signal: AbortSignal) => Promise<void>;
  /** From the end of one run to the start of the next. */
  readonly intervalMs: number;
  readonly logger: Logger;
}

/** Runs at once, and again after each interval, also after a failure; never twice at a time. */
export function repeat({ name, run, intervalMs, logger }: RepeatOptions): { close(): Promise<void> } {
  const stop = new AbortController();
  const forever = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      await run(stop.signal).catch((error: unknown) => {
        if (!stop.signal.aborted) logger.warn({ err: error, task: name }, 'failed, will try again');
      });
      await pause(intervalMs, stop.signal);
    }
  };
  const running = forever();
  return {
    async close() {
      stop.abort();
      await running;
    },
  };
}
