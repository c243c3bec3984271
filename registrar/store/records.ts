import { and, eq, ne, sql } from 'drizzle-orm';
import { toHex } from '../../core/bytes/encoding.ts';
import type { Queries, Transaction } from '../../platform/database/index.ts';
import { node, nodeState } from '../../platform/database/schema.ts';

export type NodeRecord = typeof node.$inferSelect;

/**
 * Takes what must not change while admission is decided: the alias, so that two nodes cannot get it at once, then the
 * TLS certificate, then the record. Always in this order.
 */
export async function lockAlias(tx: Transaction, alias: string): Promise<void> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(hashtextextended(${`assay alias ${alias}`}, 0))`);
}

/** The same for a TLS certificate: it is one node's. */
export async function lockTls(tx: Transaction, tlsSha256: Uint8Array): Promise<void> {
  await tx.execute(
    sql`SELECT pg_advisory_xact_lock(hashtextextended(${`assay tls ${toHex(tlsSha256)}`}, 0))`,
  );
}

/** The record, locked; also keeps a record of this id from being made meanwhile. */
export async function lockRecord(tx: Transaction, id: string): Promise<NodeRecord | undefined> {
  await tx.execute(sql`SELECT pg_advisory_xact_lock(hashtextextended(${`assay node ${id}`}, 0))`);
  const rows = await tx.select().from(node).where(eq(node.id, id)).for('update');
  return rows[0];
}

/** The admitted node that has this alias, other than `id`. */
export async function aliasHolder(tx: Transaction, alias: string, id: string): Promise<string | null> {
  const rows = await tx
    .select({ id: node.id })
    .from(node)
    .where(and(eq(node.alias, alias), eq(node.admission, 'admitted'), ne(node.id, id)))
    .limit(1);
  return rows[0]?.id ?? null;
}

/** The node that registered this TLS certificate, whatever its state. */
export async function findByTls(
  db: Queries | Transaction,
  tlsSha256: Uint8Array,
): Promise<string | undefined> {
  const rows = await db.select({ id: node.id }).from(node).where(eq(node.tlsSha256, tlsSha256));
  return rows[0]?.id;
}

/** A record and the state that people see, now. */
export async function readRecord(
  db: Queries | Transaction,
  id: string,
): Promise<(NodeRecord & { readonly state: typeof nodeState.$inferSelect.state }) | undefined> {
  const rows = await db
    .select({ record: node, state: nodeState.state })
    .from(node)
    .innerJoin(nodeState, eq(nodeState.nodeId, node.id))
    .where(eq(node.id, id));
  return rows[0] && { ...rows[0].record, state: rows[0].state };
}
