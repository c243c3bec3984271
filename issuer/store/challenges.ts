import { sql } from 'drizzle-orm';
import { AssayError } from '../../core/errors.ts';
import type { Queries } from '../../platform/database/index.ts';

/** Open challenges of one node; a new one beyond that drops the oldest, so that a node cannot lock itself out. */
const MAX_OPEN = 8;
const SWEEP_AT_ONCE = 1000;

export const CHALLENGE_SECONDS = 60;

export interface ChallengeStore {
  /** Remembers the hash of a nonce for this node as it is recorded now. @throws {AssayError} `unauthenticated` without a record */
  open(nodeId: string, nonceSha256: Uint8Array): Promise<void>;
  /** Forgets what has expired. */
  sweep(): Promise<number>;
}

export function challengeStore(db: Queries, lifetimeSeconds = CHALLENGE_SECONDS): ChallengeStore {
  return {
    async open(nodeId, nonceSha256) {
      const { rowCount } = await db.execute(sql`
        WITH dropped AS (
          DELETE FROM issue_challenge WHERE nonce_sha256 IN (
            SELECT nonce_sha256 FROM issue_challenge WHERE node_id = ${nodeId}
            ORDER BY expires_at DESC OFFSET ${MAX_OPEN - 1} FOR UPDATE SKIP LOCKED)
        )
        INSERT INTO issue_challenge (nonce_sha256, node_id, node_version, expires_at)
        SELECT ${Buffer.from(nonceSha256)}, id, version, clock_timestamp() + ${lifetimeSeconds} * interval '1 second'
        FROM node WHERE id = ${nodeId}`);
      if (rowCount === 0) throw new AssayError('unauthenticated', 'the registrar has no record of this node');
    },
    async sweep() {
      for (let total = 0; ; ) {
        const { rowCount } = await db.execute(SWEEP);
        total += rowCount ?? 0;
        if ((rowCount ?? 0) < SWEEP_AT_ONCE) return total;
      }
    },
  };
}

// A minute late, so that whoever is a little late hears that the challenge expired, and not that it is unknown.
const SWEEP = sql`
  DELETE FROM issue_challenge WHERE nonce_sha256 IN (
    SELECT nonce_sha256 FROM issue_challenge WHERE expires_at < clock_timestamp() - interval '1 minute'
    LIMIT ${SWEEP_AT_ONCE} FOR UPDATE SKIP LOCKED)`;
