import { and, eq, inArray, sql } from 'drizzle-orm';
import type { WebhookMessage } from '../../core/messages/webhook.ts';
import type { Queries } from '../../platform/database/index.ts';
import { webhook } from '../../platform/database/schema.ts';

/** What a webhook wants to hear of; absent: everything. */
export interface EventFilter {
  readonly kinds: ReadonlySet<string> | undefined;
  readonly groups: ReadonlySet<string> | undefined;
}

/** A new one begins with what happens from now on. */
export async function addWebhooks(db: Queries, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const last = sql`(SELECT coalesce(max(seq), 0) FROM trust_event)`;
    await db
      .insert(webhook)
      .values({ name, seq: last as never })
      .onConflictDoNothing();
  }
}

export type Claim =
  | { readonly held: true; readonly seq: number; readonly failures: number }
  /** Somebody else's, gone, or not yet. */
  | { readonly held: false; readonly again: Date | undefined };

/** Takes or renews the lease, if it is time to deliver. */
export async function claimWebhook(
  db: Queries,
  name: string,
  owner: string,
  leaseMs: number,
): Promise<Claim> {
  const { rows } = await db.execute<{ seq: string; failures: number }>(sql`
    UPDATE webhook SET owner = ${owner}, leased_until = clock_timestamp() + make_interval(secs => ${leaseMs / 1000})
    WHERE name = ${name} AND gone_at IS NULL AND next_at <= clock_timestamp()
      AND (owner IS NULL OR owner = ${owner} OR leased_until < clock_timestamp())
    RETURNING seq::text AS seq, failures`);
  const [row] = rows;
  if (row) return { held: true, seq: Number(row.seq), failures: row.failures };
  const [found] = await db.select().from(webhook).where(eq(webhook.name, name));
  if (!found || found.goneAt) return { held: false, again: undefined };
  const times = [found.nextAt, ...(found.leasedUntil ? [found.leasedUntil] : [])];
  return { held: false, again: new Date(Math.max(...times.map((time) => time.getTime()))) };
}

/** Events after `seq` in order, as messages; those that are not for it are undefined. */
export async function readWebhookEvents(
  db: Queries,
  seq: number,
  { kinds, groups }: EventFilter,
  limit: number,
): Promise<readonly { readonly seq: number; readonly message: WebhookMessage | undefined }[]> {
  const { rows } = await db.execute<EventRow>(sql`
    SELECT e.seq::text AS seq, e.at::text AS at, e.kind, e.epoch, e.detail, e.node_id AS "nodeId", n.alias, n.group_name AS "group"
    FROM trust_event e JOIN node n ON n.id = e.node_id WHERE e.seq > ${seq} ORDER BY e.seq LIMIT ${limit}`);
  return rows.map(({ kind, at, ...row }) => {
    const data = { ...row, seq: Number(row.seq) };
    const isFor = (!kinds || kinds.has(kind)) && (!groups || (row.group !== null && groups.has(row.group)));
    const message = { type: `node.${kind}`, timestamp: new Date(at).toISOString(), data };
    return { seq: data.seq, message: isFor ? message : undefined };
  });
}

interface EventRow extends Record<string, unknown> {
  readonly seq: string;
  readonly at: string;
  readonly kind: string;
  readonly epoch: number;
  readonly detail: Record<string, unknown>;
  readonly nodeId: string;
  readonly alias: string;
  readonly group: string | null;
}

/** @returns false when the lease was lost meanwhile */
export async function advanceWebhook(
  db: Queries,
  name: string,
  owner: string,
  { seq, delivered }: { readonly seq: number; readonly delivered: boolean },
): Promise<boolean> {
  const now = sql<Date>`clock_timestamp()`;
  const changes = delivered ? { deliveredAt: now, failures: 0, lastError: null } : {};
  const done = await db
    .update(webhook)
    .set({ seq, ...changes })
    .where(and(eq(webhook.name, name), eq(webhook.owner, owner)))
    .returning({ name: webhook.name });
  return done.length > 0;
}

/** Says why, and gives the lease back. */
export async function failWebhook(
  db: Queries,
  name: string,
  owner: string,
  { error, waitMs, gone }: { readonly error: string; readonly waitMs: number; readonly gone: boolean },
): Promise<void> {
  await db
    .update(webhook)
    .set({
      failures: sql`${webhook.failures} + 1`,
      lastError: error,
      nextAt: sql`clock_timestamp() + make_interval(secs => ${waitMs / 1000})`,
      goneAt: gone ? sql`clock_timestamp()` : null,
      owner: null,
      leasedUntil: null,
    })
    .where(and(eq(webhook.name, name), eq(webhook.owner, owner)));
}

export async function releaseWebhook(db: Queries, name: string, owner: string): Promise<void> {
  await db
    .update(webhook)
    .set({ owner: null, leasedUntil: null })
    .where(and(eq(webhook.name, name), eq(webhook.owner, owner)));
}

/** Lets one that was gone, or waits after failures, begin again at once. */
export async function resumeWebhook(db: Queries, name: string): Promise<void> {
  const fresh = { goneAt: null, failures: 0, lastError: null, nextAt: sql`clock_timestamp()` };
  await db.update(webhook).set(fresh).where(eq(webhook.name, name));
}

export type WebhookRow = typeof webhook.$inferSelect;

export async function readWebhooks(db: Queries, names: readonly string[]): Promise<readonly WebhookRow[]> {
  if (names.length === 0) return [];
  return db
    .select()
    .from(webhook)
    .where(inArray(webhook.name, [...names]));
}

/** How many events wait for it. */
export async function countPending(
  db: Queries,
  seq: number,
  { kinds, groups }: EventFilter,
): Promise<number> {
  const ofKind = kinds ? sql`AND e.kind = ANY(${sql.param([...kinds])})` : sql``;
  const ofGroup = groups ? sql`AND n.group_name = ANY(${sql.param([...groups])})` : sql``;
  const { rows } = await db.execute<{ count: number }>(sql`
    SELECT count(*)::int AS count FROM trust_event e JOIN node n ON n.id = e.node_id
    WHERE e.seq > ${seq} ${ofKind} ${ofGroup}`);
  return rows[0]?.count ?? 0;
}
