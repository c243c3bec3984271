import { eq, sql } from 'drizzle-orm';
import { appendAudit } from '../../platform/audit.ts';
import type { Database, Queries } from '../../platform/database/index.ts';
import { node, spireClone } from '../../platform/database/schema.ts';
import type { SuspectedClone } from '../spire/watch.ts';

/** Verifiers listen there. */
const CHANNEL = 'assay_spire_clone';

/** Every issuer looks, and each finds the same within a few rounds: for so long one of them has said it for all. */
const SAID_FOR = sql`interval '3 minutes'`;

/**
 * Records that an agent looks cloned, again when it goes on, and at once after trust in the node changed. Agents of nodes
 * that are not ours are nobody's clones.
 */
export async function recordClone(database: Database, clone: SuspectedClone): Promise<void> {
  const { nodeId, place, message, endsTrust } = clone;
  await database.transaction(async (tx) => {
    const [known] = await tx.select({ id: node.id }).from(node).where(eq(node.id, nodeId));
    if (!known) return;
    const set = { message, endsTrust, seenAt: sql`clock_timestamp()` };
    const setWhere = sql`${spireClone.seenAt} < clock_timestamp() - ${SAID_FOR} OR ${spireClone.endsTrust} <> ${endsTrust}
      OR ${spireClone.seenAt} <= (SELECT changed_at FROM node_trust WHERE node_trust.node_id = ${nodeId})`;
    const recorded = await tx
      .insert(spireClone)
      .values({ nodeId, place, ...set })
      .onConflictDoUpdate({ target: [spireClone.nodeId, spireClone.place], set, setWhere })
      .returning({ nodeId: spireClone.nodeId });
    if (recorded.length === 0) return;
    const detail = { place, message, endsTrust };
    await appendAudit(tx, { actor: 'issuer', act: 'node.clone-suspected', subject: nodeId, detail });
    await tx.execute(sql`SELECT pg_notify(${CHANNEL}, ${nodeId})`);
  });
}

/** When and why an agent of a node looked cloned last, by place. */
export async function clonesOf(
  db: Queries,
  nodeId: string,
): Promise<ReadonlyMap<string, { readonly seenAt: Date; readonly message: string }>> {
  const rows = await db.select().from(spireClone).where(eq(spireClone.nodeId, nodeId));
  return new Map(rows.map(({ place, seenAt, message }) => [place, { seenAt, message }]));
}
