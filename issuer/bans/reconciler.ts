import { printable } from '../../core/bytes/encoding.ts';
import type { Logger } from '../../platform/logging.ts';

/** Where a ban must be in force, such as SPIRE. Both acts are idempotent, and throw unless they are done. */
export interface BanTarget {
  /** From now on the node gets nothing there. Answers what it waits for, when there is nothing yet to be banned. */
  ban(ban: WantedBan): Promise<string | undefined>;
  /** The node may attest there again. */
  unban(ban: WantedBan): Promise<void>;
}

/** What shall be so for a node, and which change of mind it was. */
export interface WantedBan {
  readonly nodeId: string;
  readonly group: string | null;
  readonly wanted: boolean;
  readonly epoch: number;
  readonly attempts: number;
}

export interface BanStore {
  /** Brings the rows in line with what verifier and registrar recorded. */
  follow(): Promise<void>;
  /** Rows that are not reached, and wanted ones that were last confirmed before `confirmAfterMs`. */
  open(confirmAfterMs: number): Promise<readonly WantedBan[]>;
  /** Notes that the target is so; when the wish has changed meanwhile, the row is open again and false comes back. */
  reached(ban: WantedBan): Promise<boolean>;
  failed(ban: WantedBan, error: string): Promise<void>;
  /** Notes that there is nothing to be banned yet. */
  waits(ban: WantedBan, why: string): Promise<void>;
}

export interface ReconcilerOptions {
  readonly store: BanStore;
  /** Absent: wishes are recorded, and wait. */
  readonly target: BanTarget | undefined;
  readonly clock: () => Date;
  readonly logger: Logger;
  /** How often a ban that was reached is applied again: the target forgets (rule `ban.kept`). */
  readonly confirmAfterMs: number;
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** An agent that is to be banned and not known yet may appear at any moment. */
const WAITING_MS = 2000;
const CONCURRENCY = 8;
const LONGEST_ERROR = 300;

export interface BanReconciler {
  /** One round over everything that is due; answers when the next one may be due. */
  round(signal: AbortSignal): Promise<Date | undefined>;
}

/** Keeps the wish true: follows the records, applies what is open, forgives nothing and forgets nothing. */
export function banReconciler({
  store,
  target,
  clock,
  logger,
  confirmAfterMs,
}: ReconcilerOptions): BanReconciler {
  const retryAt = new Map<string, number>();

  const apply = async (to: BanTarget, ban: WantedBan): Promise<void> => {
    try {
      const waitsFor = ban.wanted ? await to.ban(ban) : await to.unban(ban);
      if (waitsFor !== undefined) {
        retryAt.set(ban.nodeId, clock().getTime() + WAITING_MS);
        await store.waits(ban, waitsFor);
        return;
      }
      retryAt.delete(ban.nodeId);
      if (!(await store.reached(ban))) retryAt.set(ban.nodeId, clock().getTime());
    } catch (error) {
      const message = printable(error instanceof Error ? error.message : String(error)).slice(
        0,
        LONGEST_ERROR,
      );
      logger.warn(
        { node: ban.nodeId, wanted: ban.wanted, error: message },
        'ban not reached, will try again',
      );
      retryAt.set(ban.nodeId, clock().getTime() + retryDelay(ban.attempts));
      await store.failed(ban, message);
    }
  };
  return {
    async round(signal) {
      await store.follow();
      if (!target) return undefined;
      const open = await store.open(confirmAfterMs);
      forgetOthers(retryAt, open);
      const now = clock().getTime();
      const due = open.filter(({ nodeId }) => (retryAt.get(nodeId) ?? 0) <= now);
      await inParallel(due, CONCURRENCY, signal, (ban) => apply(target, ban));
      return new Date(Math.min(now + confirmAfterMs, ...retryAt.values()));
    },
  };
}

function retryDelay(attempts: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts, 20), LONGEST_RETRY_MS);
}

function forgetOthers(retryAt: Map<string, number>, open: readonly WantedBan[]): void {
  const known = new Set(open.map(({ nodeId }) => nodeId));
  for (const nodeId of retryAt.keys()) if (!known.has(nodeId)) retryAt.delete(nodeId);
}

async function inParallel<T>(
  items: readonly T[],
  width: number,
  signal: AbortSignal,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  const worker = async (): Promise<void> => {
    for (const item of queue) {
      if (signal.aborted) return;
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
}
