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
