import { sql } from 'drizzle-orm';
import { AssayError } from '../core/errors.ts';
import type { Database } from '../platform/database/index.ts';
import { banNode } from './store/bans.ts';

/** The issuer says there that an agent looks cloned. */
export const CLONE_CHANNEL = 'assay_spire_clone';

interface Cloned extends Record<string, unknown> {
  readonly nodeId: string;
  readonly message: string;
}

/**
 * Bans nodes whose agents looked cloned in SPIRE since their trust last changed, where the installation wants that (rule
 * `id.clone`). Any verifier may do it: whoever comes second finds the node banned.
 *
 * @param onBanned a node whose agent is to be told
 */
export async function banClones(
  database: Database,
  onBanned: (nodeId: string, epoch: number) => void,
): Promise<void> {
  const { rows } = await database.db.execute<Cloned>(sql`
    SELECT DISTINCT ON (c.node_id) c.node_id AS "nodeId", c.message
    FROM spire_clone c JOIN node_trust t ON t.node_id = c.node_id
    WHERE c.ends_trust AND t.standing <> 'banned' AND c.seen_at > t.changed_at
    ORDER BY c.node_id, c.seen_at DESC`);
  for (const { nodeId, message } of rows) {
    try {
      const act = { nodeId, reason: message, actor: 'issuer' };
      const { epoch } = await database.transaction((tx) => banNode(tx, act, 'id.clone'));
      onBanned(nodeId, epoch);
    } catch (error) {
      // Somebody else banned it meanwhile.
      if (!(error instanceof AssayError) || error.code !== 'conflict') throw error;
    }
  }
}
