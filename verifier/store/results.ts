import { sql } from 'drizzle-orm';
import type pg from 'pg';
import type { Finding } from '../../core/finding.ts';
import type { Database, Transaction } from '../../platform/database/index.ts';
import type { StoredEvidence } from '../domain/evidence.ts';
import type { ImaProgress } from '../domain/ima-progress.ts';
import { appendTrustEvents, type NewTrustEvent } from './trust-events.ts';

/** A verdict that does not end trust, as one row of a batch. Names are the statement's. */
export interface ResultRow {
  readonly id: string;
  readonly version: number;
  readonly epoch: number;
  readonly shard: number;
  readonly fence: number;
  readonly outcome: 'pass' | 'fail' | 'inconclusive';
  readonly reasons: readonly Finding[];
  readonly policy: string | null;
  readonly policy_version: number | null;
  /** Since the nonce was made, until the statement leaves: trust counts from the nonce. */
  readonly elapsed_ms: number;
  /** Null: trust is not prolonged. */
  readonly trust_ms: number | null;
  readonly clock: string | null;
  readonly resets: number | null;
  readonly restarts: number | null;
  readonly ima: ImaProgress | null;
  /** Worth an entry in the history. */
  readonly history: boolean;
  /** Null: the evidence is not kept. */
  readonly evidence: StoredEvidence | null;
}

// In the same statement as the fence: a process whose lease ran out writes nothing, and until this commits nobody
// can take the shard over. `json`, not `jsonb`: it is read once.
const WRITE = `
WITH input AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS r (
    id uuid, version int, epoch int, shard int, fence bigint, outcome text, reasons jsonb, policy text,
    policy_version int, elapsed_ms float8, trust_ms float8, clock numeric, resets bigint, restarts bigint,
    history boolean, evidence jsonb, ima jsonb)
), held AS MATERIALIZED (
  SELECT p.shard FROM poll_shard p JOIN (SELECT DISTINCT shard, fence FROM input) i
    ON p.shard = i.shard AND p.fence = i.fence
  WHERE p.owner = $2::uuid AND p.lease_until > clock_timestamp() FOR SHARE OF p
), live AS MATERIALIZED (
  SELECT i.*, statement_timestamp() - i.elapsed_ms * interval '1 millisecond' AS asked_at
  FROM input i JOIN held h ON h.shard = i.shard
  JOIN node n ON n.id = i.id AND n.version = i.version AND n.admission = 'admitted'
), written AS (
  INSERT INTO node_trust AS t (node_id, epoch, standing, node_version, trusted_until, outcome, reasons, judged_at,
    passed_at, passes, policy_name, policy_version, tpm_clock, tpm_reset_count, tpm_restart_count, ima)
  SELECT id, epoch, CASE WHEN trust_ms IS NULL THEN 'unknown' ELSE 'passing' END,
    CASE WHEN trust_ms IS NULL THEN 0 ELSE version END, asked_at + trust_ms * interval '1 millisecond', outcome,
    reasons, asked_at, CASE WHEN outcome = 'pass' THEN asked_at END, (outcome = 'pass')::int, policy, policy_version,
    clock, resets, restarts, ima
  FROM live ORDER BY id
  ON CONFLICT (node_id) DO UPDATE SET
    standing = CASE WHEN excluded.trusted_until IS NULL THEN t.standing ELSE 'passing' END,
    node_version = CASE WHEN excluded.trusted_until IS NULL THEN t.node_version ELSE excluded.node_version END,
    trusted_until = coalesce(excluded.trusted_until, t.trusted_until),
    outcome = excluded.outcome, reasons = excluded.reasons, judged_at = excluded.judged_at,
    passed_at = coalesce(excluded.passed_at, t.passed_at), passes = t.passes + excluded.passes,
    policy_name = excluded.policy_name, policy_version = excluded.policy_version,
    tpm_clock = coalesce(excluded.tpm_clock, t.tpm_clock),
    tpm_reset_count = coalesce(excluded.tpm_reset_count, t.tpm_reset_count),
    tpm_restart_count = coalesce(excluded.tpm_restart_count, t.tpm_restart_count),
    ima = CASE WHEN excluded.trusted_until IS NULL THEN t.ima ELSE excluded.ima END,
    changed_at = CASE WHEN excluded.trusted_until IS NOT NULL AND t.standing <> 'passing' THEN now() ELSE t.changed_at END,
    changed_by = CASE WHEN excluded.trusted_until IS NOT NULL AND t.standing <> 'passing' THEN 'verifier' ELSE t.changed_by END,
    note = CASE WHEN excluded.trusted_until IS NOT NULL AND t.standing <> 'passing' THEN '' ELSE t.note END
  WHERE t.epoch = excluded.epoch AND t.standing <> 'banned'
  RETURNING node_id
), evidence AS (
  INSERT INTO last_evidence AS e (node_id, at, evidence)
  SELECT l.id, l.asked_at, l.evidence FROM live l JOIN written w ON w.node_id = l.id
  WHERE l.outcome = 'pass' AND l.evidence IS NOT NULL
  ON CONFLICT (node_id) DO UPDATE SET at = excluded.at, evidence = excluded.evidence
), history AS (
  INSERT INTO verdict (node_id, node_version, outcome, reasons, policy_name, policy_version, evidence)
  SELECT l.id, l.version, l.outcome, l.reasons, l.policy, l.policy_version, CASE WHEN l.outcome = 'fail' THEN l.evidence END
  FROM live l JOIN written w ON w.node_id = l.id WHERE l.history
)
SELECT node_id AS id FROM written`;

/** Renders the rows when the statement is about to leave, so that waiting for a connection prolongs no trust. */
export type RenderRows = () => {
  readonly rows: readonly ResultRow[];
  readonly events: readonly NewTrustEvent[];
};

/**
 * Writes a batch in one round trip, three when something happened that others want to hear of.
 *
 * @param owner the process that holds the fences
 * @returns the nodes that were written; the others have moved on, or are no longer ours
 */
export async function writeResults(
  database: Database,
  owner: string,
  render: RenderRows,
): Promise<ReadonlySet<string>> {
  const client = await database.pool.connect();
  try {
    const { rows, events } = render();
    if (events.length === 0) return await write(client, owner, rows);
  } finally {
    client.release();
  }
  return database.transaction(async (tx) => {
    const { rows, events } = render();
    const written = await writeIn(tx, owner, rows);
    await appendTrustEvents(
      tx,
      events.filter(({ nodeId }) => written.has(nodeId)),
    );
    return written;
  });
}

interface Written extends Record<string, unknown> {
  readonly id: string;
}

async function write(
  client: pg.PoolClient,
  owner: string,
  rows: readonly ResultRow[],
): Promise<ReadonlySet<string>> {
  const values = [JSON.stringify(rows), owner];
  const result = await client.query<Written>({ name: 'verifier-results', text: WRITE, values });
  return new Set(result.rows.map(({ id }) => id));
}

const [BEFORE_ROWS = '', BEFORE_OWNER = '', AFTER = ''] = WRITE.split(/\$[12]/);

async function writeIn(tx: Transaction, owner: string, rows: readonly ResultRow[]) {
  const statement = sql`${sql.raw(BEFORE_ROWS)}${JSON.stringify(rows)}${sql.raw(BEFORE_OWNER)}${owner}${sql.raw(AFTER)}`;
  const result = await tx.execute<Written>(statement);
  return new Set(result.rows.map(({ id }) => id));
}
