import type { SentLog } from '../../policies/boot/evaluate.ts';

export interface LogKeeperOptions {
  readonly keep: (sha256: string, bytes: Uint8Array) => Promise<void>;
  /** False when it is not kept any more. */
  readonly touch: (sha256: string) => Promise<boolean>;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly onFault: (error: unknown) => void;
}

/** Keeps the logs of an answer. False: one could not be kept, so the node is to send it again. */
export type LogKeeper = (logs: readonly SentLog[]) => Promise<boolean>;

const TOUCH_MS = 24 * 3_600_000;
const MAX_REMEMBERED = 20_000;

/** Boot logs are kept apart from the evidence that names them, and written once a day whatever the number of nodes. */
export function logKeeper({ keep, touch, now, onFault }: LogKeeperOptions): LogKeeper {
  const seen = new Map<string, number>();
  const one = async ({ sha256, bytes }: SentLog): Promise<boolean> => {
    const before = seen.get(sha256);
    if (before !== undefined && now() - before < TOUCH_MS) return true;
    if (bytes) await keep(sha256, bytes);
    else if (!(await touch(sha256))) return false;
    if (seen.size >= MAX_REMEMBERED) seen.clear();
    seen.set(sha256, now());
    return true;
  };
  return async (logs) => {
    try {
      const kept = await Promise.all(logs.map(one));
      return kept.every(Boolean);
    } catch (error) {
      onFault(error);
      return false;
    }
  };
}
