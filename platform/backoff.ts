import { setTimeout as sleepFor } from 'node:timers/promises';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly longestMs: number;
  /** 0 to 1; the real waits are spread over half of their length around it. */
  readonly random?: () => number;
}

export interface Backoff {
  /** The next wait in milliseconds: doubled each time, with jitter, up to the longest. */
  next(): number;
  /** Waits that long, or until the signal; never throws. */
  sleep(signal?: AbortSignal): Promise<void>;
  /** Starts over, after something worked. */
  reset(): void;
}

/** Exponential backoff with jitter, so that many that failed together do not come back together. */
export function backoff({ firstMs, longestMs, random = Math.random }: BackoffOptions): Backoff {
  let base = firstMs;
  const next = () => {
    const wait = base * (0.75 + random() / 2);
    base = Math.min(base * 2, longestMs);
    return wait;
  };
  return {
    next,
    reset: () => {
      base = firstMs;
    },
    sleep: (signal) => pause(next(), signal),
  };
}

/** Waits, or ends early without an error when the signal aborts. */
export async function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await sleepFor(milliseconds, undefined, signal === undefined ? {} : { signal }).catch(() => {});
}
