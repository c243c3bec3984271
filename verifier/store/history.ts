import type { Database } from '../../platform/database/index.ts';
import type { Outcome } from '../../platform/database/schema.ts';

/** Where to go on: verdicts of one outcome in the order of their age. Texts, because Date has no microseconds. */
export interface HistoryCursor {
  readonly at: string;
  readonly id: string;
}

interface HistoryBatch {
  readonly removed: number;
  /** Undefined when nothing older than the limit is left. */
  readonly next: HistoryCursor | undefined;
}

export const OLDEST: HistoryCursor = { at: '-infinity', id: '0' };

// The newest verdict of a node stays, however old: its history is then never empty. What another process has locked,
// it is deleting.
const SWEEP = `
WITH old AS MATERIALIZED (
  SELECT id, node_id, at FROM verdict
  WHERE outcome = $1 AND at < now() - $2::float8 * interval '1 millisecond' AND (at, id) > ($3::timestamptz, $4::bigint)
  ORDER BY at, id LIMIT $5 FOR UPDATE SKIP LOCKED
), removed AS (
  DELETE FROM verdict v USING old WHERE v.id = old.id
    AND EXISTS (SELECT 1 FROM verdict newer WHERE newer.node_id = old.node_id AND newer.id > old.id)
  RETURNING v.id
)
SELECT (SELECT count(*) FROM removed)::int AS removed, (SELECT count(*) FROM old)::int AS seen, last.at::text, last.id::text
FROM (SELECT 1) AS always LEFT JOIN (SELECT at, id FROM old ORDER BY at DESC, id DESC LIMIT 1) AS last ON true`;

/** Looks at up to `limit` verdicts that are older than `keptMs`, and deletes them: one short transaction. */
export async function removeOldVerdicts(
  { pool }: Pick<Database, 'pool'>,
  from: HistoryCursor,
  { outcome, keptMs, limit }: { readonly outcome: Outcome; readonly keptMs: number; readonly limit: number },
): Promise<HistoryBatch> {
  const { rows } = await pool.query<{ removed: number; seen: number; at: string | null; id: string | null }>(
    SWEEP,
    [outcome, keptMs, from.at, from.id, limit],
  );
  const { removed = 0, seen = 0, at = null, id = null } = rows[0] ?? {};
  return { removed, next: seen < limit || at === null || id === null ? undefined : { at, id } };
}
