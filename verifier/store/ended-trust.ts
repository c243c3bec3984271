import type { Database } from '../../platform/database/index.ts';
import type { StoredFinding } from '../../platform/database/schema.ts';

/** A node whose trust has ended, where it can be told, and why it ended. */
export interface EndedTrust {
  readonly epoch: number;
  readonly alias: string;
  readonly host: string;
  readonly port: number;
  readonly apiVersion: string;
  readonly tlsCertificate: Uint8Array;
  readonly at: Date;
  readonly reasons: readonly StoredFinding[];
}

/** Undefined for a node that is not failed or banned, or has no TLS certificate to know it by. */
export async function readEndedTrust({ pool }: Database, nodeId: string): Promise<EndedTrust | undefined> {
  const { rows } = await pool.query<EndedTrust>(
    `SELECT t.epoch, n.alias, n.contact_host AS host, n.contact_port AS port, n.api_version AS "apiVersion",
       n.tls_certificate AS "tlsCertificate", e.at, coalesce(e.detail->'reasons', '[]') AS reasons
     FROM node_trust t JOIN node n ON n.id = t.node_id
     JOIN trust_event e ON e.node_id = t.node_id AND e.epoch = t.epoch AND e.kind IN ('failed', 'banned')
     WHERE t.node_id = $1 AND t.standing IN ('failed', 'banned') AND n.tls_certificate IS NOT NULL`,
    [nodeId],
  );
  return rows[0];
}

interface UntoldEnd {
  readonly nodeId: string;
  readonly epoch: number;
}

// An agent that holds nothing valid any more has nothing to destroy. Stock agents get no certificates, and may act on a
// notice all the same: for a while they are told, too.
const UNTOLD = `
SELECT t.node_id AS "nodeId", t.epoch
FROM node_trust t JOIN node n ON n.id = t.node_id
JOIN trust_event e ON e.node_id = t.node_id AND e.epoch = t.epoch AND e.kind IN ('failed', 'banned')
WHERE t.standing IN ('failed', 'banned') AND t.told_epoch < t.epoch AND n.tls_certificate IS NOT NULL
  AND (e.at > now() - interval '1 hour' OR EXISTS (
    SELECT 1 FROM certificate c WHERE c.node_id = t.node_id AND c.epoch < t.epoch AND c.not_after > now()))
ORDER BY e.seq`;

/** Ends of trust that no agent has taken note of, and that still matter to it. */
export async function findUntold({ pool }: Pick<Database, 'pool'>): Promise<UntoldEnd[]> {
  return (await pool.query<UntoldEnd>(UNTOLD)).rows;
}

/** The agent took note. Void when trust has ended again since: that is another notice. */
export async function markTold(
  { pool }: Pick<Database, 'pool'>,
  { nodeId, epoch }: UntoldEnd,
): Promise<void> {
  await pool.query('UPDATE node_trust SET told_epoch = $2 WHERE node_id = $1 AND epoch = $2', [
    nodeId,
    epoch,
  ]);
}
