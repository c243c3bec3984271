import { eq, sql } from 'drizzle-orm';
import type { Transaction } from '../../platform/database/index.ts';
import { type Admission, node, nodeTrust, type Standing } from '../../platform/database/schema.ts';

/** A node's record and its trust, locked until the transaction ends: nobody issues, fails or bans meanwhile. */
export interface LockedTrust {
  readonly version: number;
  readonly admission: Admission;
  readonly alias: string;
  readonly epoch: number;
  readonly standing: Standing;
}

/** Locks in the order of the issuer: the record, then the trust row, which is made if there is none. */
export async function lockTrust(tx: Transaction, nodeId: string): Promise<LockedTrust | undefined> {
  const [record] = await tx
    .select({ version: node.version, admission: node.admission, alias: node.alias })
    .from(node)
    .where(eq(node.id, nodeId))
    .for('share');
  if (!record) return undefined;
  await tx.insert(nodeTrust).values({ nodeId }).onConflictDoNothing();
  const [trust] = await tx
    .select({ epoch: nodeTrust.epoch, standing: nodeTrust.standing })
    .from(nodeTrust)
    .where(eq(nodeTrust.nodeId, nodeId))
    .for('update');
  return trust ? { ...record, ...trust } : undefined;
}

/** Every verifier reads this node again. */
export async function announceNode(tx: Transaction, nodeId: string): Promise<void> {
  await tx.execute(sql`SELECT pg_notify('assay_node', ${nodeId})`);
}
