import { sql } from 'drizzle-orm';
import type { Database, Transaction } from './database/index.ts';

/** A shard that is ours until its time; the fence goes into every write, so that a late one is refused. */
export interface Lease {
  readonly shard: number;
  readonly fence: number;
}

export interface ShardLeases {
  /** Renews what is held, takes a fair share of what is free, gives up what is more than fair. The result is all that is held now. */
  tend(): Promise<readonly Lease[]>;
  /** Gives everything back at once, for a process that ends in order. */
  release(): Promise<void>;
  /**
   * Locks those of `leases` that are still ours until the transaction ends, and names their shards. Whatever else
   * the caller knows of a shard that is not among them is too old to be written.
   */
  stillHeld(tx: Transaction, leases: readonly Lease[]): Promise<ReadonlySet<number>>;
}

/**
 * Divides shards among the processes that are alive, in PostgreSQL and by its clock. A process that stops tending
 * loses its shards when their lease ends; a fence number is never given out twice.
 *
 * @param owner random UUID of this process
 * @param leaseMs how long a lease lasts; tend at least three times as often
 */
export function shardLeases(database: Database, owner: string, shards: number, leaseMs: number): ShardLeases {
  return {
    async tend() {
      const client = await database.pool.connect();
      try {
        await client.query('BEGIN');
        await client.query(
          'INSERT INTO poll_shard (shard) SELECT generate_series(0, $1::int - 1) ON CONFLICT (shard) DO NOTHING',
          [shards],
        );
        // One at a time: fair shares are counted on a picture that stands still.
        await client.query('SELECT pg_advisory_xact_lock(4711043)');
        await client.query(
          "DELETE FROM poll_owner WHERE alive_until < clock_timestamp() - interval '1 hour'",
        );
        const { rows } = await client.query<Lease>(TEND, [owner, shards, leaseMs / 1000]);
        await client.query('COMMIT');
        return rows;
      } catch (error) {
        await client.query('ROLLBACK').catch(() => {});
        throw error;
      } finally {
        client.release();
      }
    },
    async release() {
      await database.pool.query(
        "UPDATE poll_shard SET owner = NULL, lease_until = '-infinity' WHERE owner = $1",
        [owner],
      );
      await database.pool.query('DELETE FROM poll_owner WHERE owner = $1', [owner]);
    },
    async stillHeld(tx, leases) {
      const { rows } = await tx.execute<{ shard: number }>(sql`
        SELECT p.shard FROM poll_shard p
        JOIN jsonb_to_recordset(${JSON.stringify(leases)}::jsonb) AS held (shard int, fence bigint)
          ON p.shard = held.shard AND p.fence = held.fence
        WHERE p.owner = ${owner}::uuid AND p.lease_until > clock_timestamp()
        ORDER BY p.shard FOR SHARE OF p`);
      return new Set(rows.map(({ shard }) => shard));
    },
  };
}

// $1 owner, $2 number of shards, $3 seconds. Presence is a row of its own, so that a newcomer counts at once.
const TEND = `
WITH presence AS (
  INSERT INTO poll_owner (owner, alive_until) VALUES ($1::uuid, clock_timestamp() + $3 * interval '1 second')
  ON CONFLICT (owner) DO UPDATE SET alive_until = excluded.alive_until
), alive AS (
  SELECT count(*) FILTER (WHERE owner <> $1::uuid) + 1 AS owners FROM poll_owner WHERE alive_until > clock_timestamp()
), share AS (
  SELECT ceil($2::numeric / owners)::int AS size FROM alive
), mine AS (
  SELECT shard FROM poll_shard WHERE owner = $1::uuid AND shard < $2 AND lease_until > clock_timestamp() ORDER BY shard
  LIMIT (SELECT size FROM share)
), given_up AS (
  UPDATE poll_shard SET owner = NULL, lease_until = '-infinity'
  WHERE owner = $1::uuid AND shard NOT IN (SELECT shard FROM mine)
), free AS (
  SELECT shard FROM poll_shard
  WHERE shard < $2 AND shard NOT IN (SELECT shard FROM mine) AND (owner IS NULL OR (owner <> $1::uuid AND lease_until <= clock_timestamp()))
  ORDER BY shard LIMIT greatest(0, (SELECT size FROM share) - (SELECT count(*) FROM mine)::int)
)
UPDATE poll_shard s
SET owner = $1::uuid,
    lease_until = clock_timestamp() + $3 * interval '1 second',
    fence = CASE WHEN s.shard IN (SELECT shard FROM mine) THEN s.fence ELSE s.fence + 1 END
WHERE s.shard IN (SELECT shard FROM mine UNION ALL SELECT shard FROM free)
RETURNING s.shard, s.fence::float8 AS fence`;
