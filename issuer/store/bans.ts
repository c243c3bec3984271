import { and, asc, eq, getTableColumns, sql } from 'drizzle-orm';
import type { BanRecord } from '../../core/messages/node.ts';
import type { Database, Queries } from '../../platform/database/index.ts';
import { ban, banPlace, node } from '../../platform/database/schema.ts';
import { type BanStore, FIRST_LOOK_MS, type WantedBan } from '../bans/reconciler.ts';

const LOCK = 4_711_045;

/** Wishes in table `ban`; what is wanted is derived from the registrar's and the verifier's rows each time. */
export function banStore(database: Database): BanStore {
  return {
    follow: () => followWishes(database),
    async open({ name, groups }, confirmAfterMs) {
      const allowed = groups && [...groups];
      const { rows } = await database.db.execute<WantedBan & Record<string, unknown>>(sql`
        SELECT b.node_id AS "nodeId", b.wanted, b.epoch, p.applied_at IS NOT NULL AS applied, coalesce(p.attempts, 0) AS attempts
        FROM ban b JOIN node n ON n.id = b.node_id
        LEFT JOIN ban_place p ON p.node_id = b.node_id AND p.place = ${name} AND p.wanted = b.wanted AND p.epoch = b.epoch
        WHERE (${allowed === undefined} OR n.group_name = ANY(${sql.param(allowed ?? [])}::text[]))
          AND (p.applied_at IS NULL
            OR (b.wanted AND p.confirmed_at + least(${seconds(confirmAfterMs)},
              greatest(${seconds(FIRST_LOOK_MS)}, p.confirmed_at - p.applied_at)) < clock_timestamp()))
        ORDER BY b.wanted DESC, b.since`);
      return rows;
    },
    async reached(place, wish) {
      const { rows } = await database.db.execute<{ same: boolean | null }>(sql`
        ${upsert(place, wish)} SET wanted = excluded.wanted, epoch = excluded.epoch, attempts = 0, last_error = NULL,
          applied_at = clock_timestamp(), confirmed_at = clock_timestamp()
        RETURNING (SELECT b.wanted = p.wanted AND b.epoch = p.epoch FROM ban b WHERE b.node_id = p.node_id) AS same`);
      return rows[0]?.same ?? true;
    },
    async confirmed(place, { nodeId, wanted, epoch }) {
      await database.db.execute(sql`
        UPDATE ban_place SET confirmed_at = clock_timestamp(), attempts = 0, last_error = NULL
        WHERE node_id = ${nodeId} AND place = ${place} AND wanted = ${wanted} AND epoch = ${epoch}`);
    },
    async waits(place, wish, why) {
      await database.db.execute(sql`
        ${upsert(place, wish, why)} SET wanted = excluded.wanted, epoch = excluded.epoch, attempts = 0,
          last_error = excluded.last_error, applied_at = NULL
        WHERE ${differs} OR p.applied_at IS NOT NULL OR p.last_error IS DISTINCT FROM excluded.last_error`);
    },
    async failed(place, wish, error) {
      await database.db.execute(sql`
        ${upsert(place, wish, error, 1)} SET wanted = excluded.wanted, epoch = excluded.epoch,
          last_error = excluded.last_error, attempts = CASE WHEN ${differs} THEN 1 ELSE p.attempts + 1 END,
          applied_at = CASE WHEN ${differs} THEN NULL ELSE p.applied_at END`);
    },
  };
}

const seconds = (ms: number) => sql`${ms / 1000} * interval '1 second'`;

const differs = sql`(p.wanted, p.epoch) IS DISTINCT FROM (excluded.wanted, excluded.epoch)`;

function upsert(
  place: string,
  { nodeId, wanted, epoch }: WantedBan,
  error: string | null = null,
  attempts = 0,
) {
  const reached = error === null ? sql`clock_timestamp()` : sql`NULL::timestamptz`;
  return sql`
    INSERT INTO ban_place AS p (node_id, place, wanted, epoch, applied_at, confirmed_at, attempts, last_error)
    VALUES (${nodeId}, ${place}, ${wanted}, ${epoch}, ${reached}, ${reached}, ${attempts}, ${error})
    ON CONFLICT (node_id, place) DO UPDATE`;
}

/** Brings the wishes in line with what verifier and registrar recorded. */
export async function followWishes(database: Database): Promise<void> {
  await database.transaction(async (tx) => {
    // One at a time, so that nobody writes what he read before another one wrote.
    await tx.execute(sql`SELECT pg_advisory_xact_lock(${LOCK})`);
    await tx.execute(FOLLOW);
  });
}

// A node is to be banned when its standing says so, or when it was retired. A node that never was has no row.
const FOLLOW = sql`
INSERT INTO ban (node_id, wanted, epoch, since)
SELECT n.id, n.admission = 'retired' OR coalesce(t.standing = 'banned', false), coalesce(t.epoch, 0), clock_timestamp()
FROM node n LEFT JOIN node_trust t ON t.node_id = n.id
WHERE n.admission = 'retired' OR t.standing = 'banned' OR EXISTS (SELECT 1 FROM ban b WHERE b.node_id = n.id AND b.wanted)
ON CONFLICT (node_id) DO UPDATE
SET wanted = excluded.wanted, epoch = excluded.epoch, since = excluded.since
WHERE ban.wanted IS DISTINCT FROM excluded.wanted OR (excluded.wanted AND ban.epoch <> excluded.epoch)`;

const MAX_ROWS = 10_000;

/**
 * What is wanted for each node, and what was reached where.
 *
 * @param placesOf names of the places where nodes of a group attest; one that was taken out of the configuration keeps its
 *   rows and is none
 */
export async function listBans(
  db: Queries,
  placesOf: (group: string | null) => readonly string[],
): Promise<BanRecord[]> {
  const wishes = await db
    .select({ ...getTableColumns(ban), group: node.groupName })
    .from(ban)
    .innerJoin(node, eq(node.id, ban.nodeId))
    .orderBy(asc(ban.since))
    .limit(MAX_ROWS);
  const rows = await db.select().from(banPlace).orderBy(asc(banPlace.place));
  const reached = Map.groupBy(rows, ({ nodeId }) => nodeId);
  return wishes.map(({ nodeId, wanted, epoch, since, group }) => ({
    nodeId,
    wanted,
    since: since.toISOString(),
    places: (reached.get(nodeId) ?? [])
      .filter((row) => row.wanted === wanted && row.epoch === epoch && placesOf(group).includes(row.place))
      .map(({ place, appliedAt, confirmedAt, attempts, lastError }) => ({
        place,
        appliedAt: appliedAt?.toISOString() ?? null,
        confirmedAt: confirmedAt?.toISOString() ?? null,
        attempts,
        lastError,
      })),
  }));
}

/** Since when a node's ban is in force, by place; null: not yet, or not any more. */
export async function bannedSince(db: Queries, nodeId: string): Promise<ReadonlyMap<string, Date | null>> {
  const rows = await db
    .select({ place: banPlace.place, appliedAt: banPlace.appliedAt })
    .from(banPlace)
    .innerJoin(
      ban,
      and(eq(ban.nodeId, banPlace.nodeId), eq(ban.wanted, banPlace.wanted), eq(ban.epoch, banPlace.epoch)),
    )
    .where(and(eq(ban.nodeId, nodeId), eq(ban.wanted, true)));
  return new Map(rows.map(({ place, appliedAt }) => [place, appliedAt]));
}
