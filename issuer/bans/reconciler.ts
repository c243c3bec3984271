import { printable } from '../../core/bytes/encoding.ts';
import type { Logger } from '../../platform/logging.ts';

/** Where bans must be in force, such as a SPIRE server. Every act is idempotent, and throws unless it is done. */
export interface BanPlace {
  readonly name: string;
  /** Whose nodes attest there; absent: all. */
  readonly groups: ReadonlySet<string> | undefined;
  /** From now on the node gets nothing there. Answers what it waits for, when there is nothing yet to be banned. */
  ban(nodeId: string): Promise<string | undefined>;
  /** Whether a ban that was applied is in force still. */
  holds(nodeId: string): Promise<boolean>;
  /** The node may attest there again. */
  unban(nodeId: string): Promise<undefined>;
}

/** What shall be so for a node at a place, and which change of mind it was. */
export interface WantedBan {
  readonly nodeId: string;
  readonly wanted: boolean;
  readonly epoch: number;
  /** It was reached there, and is to be looked at again. */
  readonly applied: boolean;
  /** How often it failed there in a row. */
  readonly attempts: number;
}

export interface BanStore {
  /** Brings the wishes in line with what verifier and registrar recorded. */
  follow(): Promise<void>;
  /**
   * What is not reached at a place, and bans there that are to be looked at again: after `FIRST_LOOK_MS`, then after
   * as long as they held, and at last every `confirmAfterMs`.
   */
  open(place: Pick<BanPlace, 'name' | 'groups'>, confirmAfterMs: number): Promise<readonly WantedBan[]>;
  /** Notes that the place is so from now on; false when the wish has changed meanwhile, and is open again. */
  reached(place: string, ban: WantedBan): Promise<boolean>;
  /** Notes that the place is so still. */
  confirmed(place: string, ban: WantedBan): Promise<void>;
  /** Notes that it is not known to be so. */
  failed(place: string, ban: WantedBan, error: string): Promise<void>;
  /** Notes that there is nothing to be banned yet. */
  waits(place: string, ban: WantedBan, why: string): Promise<void>;
}

export interface ReconcilerOptions {
  readonly store: BanStore;
  readonly place: BanPlace;
  readonly clock: () => Date;
  readonly logger: Logger;
  /** How often a ban that was reached is looked at again: the place forgets (rule `ban.kept`). */
  readonly confirmAfterMs: number;
}

const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 60_000;
/** An agent that is to be banned and not known yet may appear at any moment. */
const WAITING_MS = 2000;
const CONCURRENCY = 8;
/** An attestation that was under way may overwrite a ban: a new one is looked at soon. */
export const FIRST_LOOK_MS = 1000;
/** So many failures and no success in a round are the place's, not the nodes'. */
const AWAY_AFTER = CONCURRENCY;
/** Asking costs a few calls then, and a server that is back should ban soon. */
const LONGEST_AWAY_MS = 5000;
const LONGEST_ERROR = 300;

export interface BanReconciler {
  /** One round over everything that is due at the place; answers when the next one may be due. */
  round(signal: AbortSignal): Promise<Date | undefined>;
}

/**
 * Keeps the wishes true at one place: follows the records, applies what is open, forgives nothing and forgets nothing.
 * Each place has its own, so that one that is away or slow holds up no other.
 */
export function banReconciler({
  store,
  place,
  clock,
  logger,
  confirmAfterMs,
}: ReconcilerOptions): BanReconciler {
  const retryAt = new Map<string, number>();
  let away = { rounds: 0, until: 0 };
  let youngUntil = 0;

  const tried = async (ban: WantedBan): Promise<void> => {
    if (!ban.wanted) return reached(ban, place.unban(ban.nodeId));
    if (ban.applied) {
      if (await place.holds(ban.nodeId)) return store.confirmed(place.name, ban);
      logger.warn({ node: ban.nodeId, place: place.name }, 'a ban was lifted there; it is applied again');
    }
    return reached(ban, place.ban(ban.nodeId));
  };
  const reached = async (ban: WantedBan, act: Promise<string | undefined>): Promise<void> => {
    const waitsFor = await act;
    if (waitsFor !== undefined) {
      retryAt.set(keyOf(ban), clock().getTime() + WAITING_MS);
      await store.waits(place.name, ban, waitsFor);
      return;
    }
    retryAt.delete(keyOf(ban));
    youngUntil = clock().getTime() + 2 * confirmAfterMs;
    if (!(await store.reached(place.name, ban))) retryAt.set(keyOf(ban), clock().getTime());
  };
  const apply = async (ban: WantedBan): Promise<boolean> => {
    try {
      await tried(ban);
      return true;
    } catch (cause) {
      const error = printable(cause instanceof Error ? cause.message : String(cause)).slice(0, LONGEST_ERROR);
      const { nodeId: node, wanted } = ban;
      logger.warn({ node, wanted, place: place.name, error }, 'ban not reached, will try again');
      retryAt.set(keyOf(ban), clock().getTime() + retryDelay(ban.attempts));
      await store.failed(place.name, ban, error);
      return false;
    }
  };
  return {
    async round(signal) {
      await store.follow();
      const now = clock().getTime();
      if (now < away.until) return new Date(away.until);
      const open = await store.open(place, confirmAfterMs);
      forgetOthers(retryAt, open);
      const due = open.filter((ban) => (retryAt.get(keyOf(ban)) ?? 0) <= now);
      const isAway = await untilAway(due, signal, apply);
      away = isAway
        ? {
            rounds: away.rounds + 1,
            until: clock().getTime() + Math.min(retryDelay(away.rounds), LONGEST_AWAY_MS),
          }
        : { rounds: 0, until: 0 };
      if (isAway) return new Date(away.until);
      const look = now < youngUntil ? Math.min(FIRST_LOOK_MS, confirmAfterMs) : confirmAfterMs;
      return new Date(Math.min(now + look, ...retryAt.values()));
    },
  };
}

// A new wish is tried at once, whatever became of the one before.
function keyOf({ nodeId, wanted, epoch }: WantedBan): string {
  return `${nodeId} ${wanted} ${epoch}`;
}

function retryDelay(attempts: number): number {
  return Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempts, 20), LONGEST_RETRY_MS);
}

function forgetOthers(retryAt: Map<string, number>, open: readonly WantedBan[]): void {
  const known = new Set(open.map(keyOf));
  for (const key of retryAt.keys()) if (!known.has(key)) retryAt.delete(key);
}

/** Several at a time; true when it gave up because nothing succeeds. */
async function untilAway(
  bans: readonly WantedBan[],
  signal: AbortSignal,
  apply: (ban: WantedBan) => Promise<boolean>,
): Promise<boolean> {
  const queue = bans.values();
  let failures = 0;
  const worker = async (): Promise<void> => {
    for (const ban of queue) {
      if (signal.aborted || failures >= AWAY_AFTER) return;
      if (await apply(ban)) failures = Number.NEGATIVE_INFINITY;
      else failures += 1;
    }
  };
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, bans.length) }, worker));
  return failures >= AWAY_AFTER;
}
