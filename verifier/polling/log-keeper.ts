import type { SentLog } from '../../policies/boot/evaluate.ts';

export interface LogKeeperOptions {
  readonly keep: (sha256: string, bytes: Uint8Array) => Promise<void>;
  /** False when it is not kept any more. */
  readonly touch: (sha256: string) => Promise<boolean>;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly onFault: (error: unknown) => void;
}

/** Keeps the logs of an answer. False: one was not kept, so the node is to send it again. */
export type LogKeeper = (nodeId: string, logs: readonly SentLog[]) => Promise<boolean>;

const TOUCH_MS = 24 * 3_600_000;
const MAX_REMEMBERED = 20_000;
/** What a log is read up to. */
const MAX_BYTES = 4 * 1024 * 1024;
/**
 * New logs of one node in a day: more than it can boot in ways that differ. What is not proven in a log can be changed at
 * will, so without this a node could fill the database (rule `api.limits`).
 */
const MAX_NEW_A_DAY = 20;

/** Boot logs are kept apart from the evidence that names them, and written once a day whatever the number of nodes. */
export function logKeeper({ keep, touch, now, onFault }: LogKeeperOptions): LogKeeper {
  const seen = new Map<string, number>();
  let brought = new Map<string, number>();
  let today = now();
  const mayBring = (nodeId: string): boolean => {
    if (now() - today >= TOUCH_MS) [brought, today] = [new Map(), now()];
    const count = (brought.get(nodeId) ?? 0) + 1;
    brought.set(nodeId, count);
    return count <= MAX_NEW_A_DAY;
  };
  const one = async (nodeId: string, { sha256, bytes }: SentLog): Promise<boolean> => {
    const before = seen.get(sha256);
    if (before !== undefined && now() - before < TOUCH_MS) return true;
    if (!(await touch(sha256))) {
      if (!bytes || bytes.length > MAX_BYTES || !mayBring(nodeId)) return false;
      await keep(sha256, bytes);
    }
    if (seen.size >= MAX_REMEMBERED) seen.clear();
    seen.set(sha256, now());
    return true;
  };
  return async (nodeId, logs) => {
    try {
      const kept = await Promise.all(logs.map((log) => one(nodeId, log)));
      return kept.every(Boolean);
    } catch (error) {
      onFault(error);
      return false;
    }
  };
}
