import { asc, sql } from 'drizzle-orm';
import type { BanRecord } from '../../core/messages/node.ts';
import type { Database, Queries } from '../../platform/database/index.ts';
import { ban } from '../../platform/database/schema.ts';
import type { BanStore, WantedBan } from '../bans/reconciler.ts';

const LOCK = 4_711_045;

/** Wishes in table `ban`; what is wanted is derived from the registrar's and the verifier's rows each time. */
export function banStore(database: Database): BanStore {
  return {
    follow: () =>
      database.transaction(async (tx) => {
        // One at a time, so that nobody writes what he read before another one wrote.
        await tx.execute(sql`SELECT pg_advisory_xact_lock(${LOCK})`);
        await tx.execute(FOLLOW);
      }),
    async open(confirmAfterMs) {
      const { rows } = await database.db.execute<WantedBan & Record<string, unknown>>(sql`
        SELECT b.node_id AS "nodeId", n.group_name AS "group", b.wanted, b.epoch, b.attempts
        FROM ban b JOIN node n ON n.id = b.node_id
        WHERE b.applied_at IS NULL
           OR (b.wanted AND b.applied_at < clock_timestamp() - ${confirmAfterMs / 1000} * interval '1 second')
        ORDER BY b.wanted DESC, b.since`);
      return rows;
    },
    async reached({ nodeId, wanted, epoch }) {
      const { rows } = await database.db.execute<{ same: boolean }>(sql`
        UPDATE ban SET
          applied_at = CASE WHEN wanted = ${wanted} AND epoch = ${epoch} THEN clock_timestamp() END,
          attempts = 0, last_error = NULL
        WHERE node_id = ${nodeId}
        RETURNING applied_at IS NOT NULL AS same`);
      return rows[0]?.same ?? true;
    },
    async waits({ nodeId, wanted, epoch }, why) {
      await database.db.execute(sql`
        UPDATE ban SET applied_at = NULL, attempts = 0, last_error = ${why}
        WHERE node_id = ${nodeId} AND wanted = ${wanted} AND epoch = ${epoch}
          AND (applied_at IS NOT NULL OR last_error IS DISTINCT FROM ${why})`);
    },
    async failed({ nodeId, wanted, epoch }, error) {
      await database.db.execute(sql`
        UPDATE ban SET applied_at = NULL, attempts = attempts + 1, last_error = ${error}
        WHERE node_id = ${nodeId} AND wanted = ${wanted} AND epoch = ${epoch}`);
    },
  };
}

// A node is to be banned when its standing says so, or when it was retired. A node that never was has no row.
const FOLLOW = sql`
INSERT INTO ban (node_id, wanted, epoch, since)
SELECT n.id, n.admission = 'retired' OR coalesce(t.standing = 'banned', false), coalesce(t.epoch, 0), clock_timestamp()
FROM node n LEFT JOIN node_trust t ON t.node_id = n.id
WHERE n.admission = 'retired' OR t.standing = 'banned' OR EXISTS (SELECT 1 FROM ban b WHERE b.node_id = n.id AND b.wanted)
ON CONFLICT (node_id) DO UPDATE
SET wanted = excluded.wanted, epoch = excluded.epoch, since = excluded.since, applied_at = NULL, attempts = 0, last_error = NULL
WHERE ban.wanted IS DISTINCT FROM excluded.wanted OR (excluded.wanted AND ban.epoch <> excluded.epoch)`;

const MAX_ROWS = 10_000;

export async function listBans(db: Queries): Promise<BanRecord[]> {
  const rows = await db.select().from(ban).orderBy(asc(ban.since)).limit(MAX_ROWS);
  return rows.map(({ nodeId, wanted, since, appliedAt, attempts, lastError }) => ({
    nodeId,
    wanted,
    since: since.toISOString(),
    appliedAt: appliedAt?.toISOString() ?? null,
    attempts,
    lastError,
  }));
}
