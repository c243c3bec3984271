import type { Database } from '../../platform/database/index.ts';
import type {
  EnrolmentProtocol,
  Outcome,
  PreviousContact,
  Standing,
  StoredFinding,
} from '../../platform/database/schema.ts';
import type { ImaProgress } from '../domain/ima-progress.ts';
import { reasonKeyOf } from '../domain/reasons.ts';
import type { NodeRecord, TrustSnapshot } from '../polling/polled-node.ts';

/** A node as the scheduler starts with it. */
export interface LoadedNode {
  readonly record: NodeRecord;
  readonly trust: TrustSnapshot;
  /** How long it is trusted still, by the database's clock. */
  readonly trustLeftMs: number;
}

interface Row {
  readonly id: string;
  readonly version: number;
  readonly alias: string;
  readonly group_name: string;
  readonly shard: number;
  readonly api_version: string;
  readonly contact_host: string;
  readonly contact_port: number;
  readonly ak_public: Buffer;
  readonly tls_certificate: Buffer | null;
  readonly previous_contact: PreviousContact | null;
  readonly protocol: EnrolmentProtocol | null;
  readonly epoch: number | null;
  readonly standing: Standing | null;
  readonly node_version: number | null;
  readonly outcome: Outcome | null;
  readonly reasons: readonly StoredFinding[] | null;
  readonly policy: string | null;
  readonly tpm_clock: string | null;
  readonly tpm_reset_count: string | null;
  readonly tpm_restart_count: string | null;
  readonly ima: ImaProgress | null;
  readonly trust_left_ms: number | null;
}

const SELECT = `
SELECT n.id, n.version, n.alias, n.group_name, n.shard, n.api_version, n.contact_host, n.contact_port, n.ak_public,
       n.tls_certificate, n.previous_contact, n.protocol, t.epoch, t.standing, t.node_version, t.outcome, t.reasons,
       t.policy_name || '@' || t.policy_version AS policy, t.tpm_clock, t.tpm_reset_count, t.tpm_restart_count, t.ima,
       (extract(epoch FROM t.trusted_until - now()) * 1000)::float8 AS trust_left_ms
FROM node n LEFT JOIN node_trust t ON t.node_id = n.id
WHERE n.admission = 'admitted' AND (coalesce(t.standing, 'unknown') <> 'banned' OR t.changed_by LIKE 'policy:%')`;

/** Admitted nodes of these shards that are polled: those that are not banned, or by a policy, which may
 * let them come back. */
export async function loadShards(
  { pool }: Database,
  shards: readonly number[],
  now: () => number,
): Promise<LoadedNode[]> {
  const { rows } = await pool.query<Row>(`${SELECT} AND n.shard = ANY($1::int[])`, [shards]);
  const read = now();
  return rows.map((row) => loaded(row, read));
}

/** Those of `ids` that are polled; the others are not (any more). */
export async function loadNodes(
  { pool }: Database,
  ids: readonly string[],
  now: () => number,
): Promise<LoadedNode[]> {
  const { rows } = await pool.query<Row>(`${SELECT} AND n.id = ANY($1::uuid[])`, [ids]);
  const read = now();
  return rows.map((row) => loaded(row, read));
}

/** After the old contact was probed. The registrar's one column that the verifier writes. */
export async function clearPreviousContact({ pool }: Database, { id, version }: NodeRecord): Promise<void> {
  await pool.query('UPDATE node SET previous_contact = NULL WHERE id = $1 AND version = $2', [id, version]);
}

function loaded(row: Row, read: number): LoadedNode {
  const trustLeftMs = row.trust_left_ms ?? 0;
  return { record: recordOf(row), trust: trustOf(row, read + trustLeftMs), trustLeftMs };
}

function recordOf(row: Row): NodeRecord {
  return {
    id: row.id,
    version: row.version,
    alias: row.alias,
    group: row.group_name,
    shard: row.shard,
    apiVersion: row.api_version,
    host: row.contact_host,
    port: row.contact_port,
    akPublic: row.ak_public,
    tlsCertificate: row.tls_certificate,
    previousContact: row.previous_contact,
    protocol: row.protocol,
  };
}

function trustOf(row: Row, trustedUntil: number): TrustSnapshot {
  const { tpm_clock: clock, tpm_reset_count: resets, tpm_restart_count: restarts } = row;
  const known = clock !== null && resets !== null && restarts !== null;
  return {
    epoch: row.epoch ?? 0,
    standing: row.standing ?? 'unknown',
    nodeVersion: row.node_version ?? 0,
    outcome: row.outcome,
    reasonKey: reasonKeyOf(row.reasons ?? []),
    policy: row.policy,
    clock: known
      ? { clock: BigInt(clock), resetCount: Number(resets), restartCount: Number(restarts), safe: true }
      : undefined,
    ima: row.ima ?? undefined,
    trustedUntil,
  };
}
