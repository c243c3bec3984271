import { asc, gt, sql } from 'drizzle-orm';
import type { TrustEvent } from '../../core/messages/node.ts';
import type { Queries, Transaction } from '../../platform/database/index.ts';
import { trustEvent } from '../../platform/database/schema.ts';

const LOCK = 4_711_047;

export interface NewTrustEvent {
  readonly nodeId: string;
  readonly kind: TrustEvent['kind'];
  readonly epoch: number;
  readonly detail: Readonly<Record<string, unknown>>;
}

/**
 * Adds events at the end of the caller's transaction. One transaction at a time: numbers are given in the order of
 * commits, so that a reader who goes on after the last number it saw misses nothing.
 *
 * Lock order is trust rows, then this, then the audit log: nobody takes a lock on a row after it.
 */
export async function appendTrustEvents(tx: Transaction, events: readonly NewTrustEvent[]): Promise<void> {
  if (events.length === 0) return;
  await tx.execute(sql`SELECT pg_advisory_xact_lock(${LOCK})`);
  await tx.insert(trustEvent).values([...events]);
}

/** Events after `seq`, in order. */
export async function readTrustEvents(db: Queries, seq: number, limit: number): Promise<TrustEvent[]> {
  const rows = await db
    .select()
    .from(trustEvent)
    .where(gt(trustEvent.seq, seq))
    .orderBy(asc(trustEvent.seq))
    .limit(limit);
  return rows.map((row) => ({
    seq: row.seq,
    at: row.at.toISOString(),
    nodeId: row.nodeId,
    kind: kindOf(row.kind),
    epoch: row.epoch,
    detail: row.detail,
  }));
}

/** The number of the last event; 0 before the first. */
export async function lastTrustEvent(db: Queries): Promise<number> {
  const { rows } = await db.execute<{ seq: number }>(
    sql`SELECT coalesce(max(seq), 0)::float8 AS seq FROM trust_event`,
  );
  return rows[0]?.seq ?? 0;
}

const KINDS: readonly TrustEvent['kind'][] = [
  'trusted',
  'failed',
  'banned',
  'unbanned',
  'inconclusive',
  'rebooted',
  'resumed',
  'reported',
];

function kindOf(text: string): TrustEvent['kind'] {
  const kind = KINDS.find((known) => known === text);
  if (kind === undefined) throw new TypeError(`the database holds an event of unknown kind "${text}"`);
  return kind;
}
