import { backoff, pause } from './backoff.ts';
import type { Logger } from './logging.ts';

export interface LoopOptions {
  /** What the loop does, for the log. */
  readonly name: string;
  /** Once; answers when it must run again, if that is before the interval ends. */
  readonly run: (signal: AbortSignal) => Promise<Date | undefined>;
  /** The longest time between two runs. */
  readonly intervalMs: number;
  /** How long after a wake-up the run starts, so that many wake-ups are one run. */
  readonly debounceMs: number;
  readonly logger: Logger;
}

export interface Loop {
  /** Something changed: run soon. */
  wake(): void;
  /** Ends after the run that is under way. */
  close(): Promise<void>;
}

const FIRST_RETRY_MS = 500;

/** Runs at once, at every wake-up and at every interval; never twice at a time; after a failure again with backoff. */
export function startLoop({ name, run, intervalMs, debounceMs, logger }: LoopOptions): Loop {
  const stop = new AbortController();
  let woken = new AbortController();
  const wait = backoff({ firstMs: Math.min(FIRST_RETRY_MS, intervalMs), longestMs: intervalMs });

  const once = async (): Promise<number> => {
    try {
      const next = await run(stop.signal);
      wait.reset();
      return next ? Math.min(intervalMs, Math.max(0, next.getTime() - Date.now())) : intervalMs;
    } catch (error) {
      if (!stop.signal.aborted) logger.warn({ err: error, loop: name }, 'failed, will try again');
      return wait.next();
    }
  };
  const forever = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      // A wake-up during the run counts for the next one.
      woken = new AbortController();
      await pause(await once(), AbortSignal.any([stop.signal, woken.signal]));
      if (woken.signal.aborted) await pause(debounceMs, stop.signal);
    }
  };
  const running = forever();
  return {
    wake: () => woken.abort(),
    async close() {
      stop.abort();
      await running;
    },
  };
}
