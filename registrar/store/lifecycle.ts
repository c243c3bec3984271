import { eq, sql } from 'drizzle-orm';
import { AssayError } from '../../core/errors.ts';
import { appendAudit } from '../../platform/audit.ts';
import type { Transaction } from '../../platform/database/index.ts';
import { node } from '../../platform/database/schema.ts';
import { aliasHolder, lockAlias, lockRecord, type NodeRecord } from './records.ts';

export interface Approval {
  readonly group: string;
  readonly assetName?: string;
  readonly reason: string;
}

/** A person admits a node. @throws {AssayError} `not-found`, or `conflict` unless it waits for that */
export async function approveNode(
  tx: Transaction,
  id: string,
  approval: Approval,
  actor: string,
): Promise<void> {
  const record = await lockWithAlias(tx, id);
  if (record.admission !== 'pending') {
    throw new AssayError('conflict', `node ${id} is ${record.admission} already: ${record.admissionReason}`);
  }
  const holder = await aliasHolder(tx, record.alias, id);
  if (holder !== null) {
    const message = `the alias ${record.alias} is held by node ${holder}; retire that node first`;
    throw new AssayError('conflict', message, { details: [{ rule: 'id.immutable', message }] });
  }
  const { group, assetName = null, reason } = approval;
  await tx
    .update(node)
    .set({
      admission: 'admitted',
      admissionReason: `approved: ${reason}`,
      admittedBy: actor,
      admittedAt: sql`now()`,
      groupName: group,
      assetName,
    })
    .where(eq(node.id, id));
  await appendAudit(tx, { actor, act: 'node.approve', subject: id, detail: { group, assetName, reason } });
}

/** Takes a node out of service for good; its record stays. @throws {AssayError} `not-found`, `conflict` */
export async function retireNode(tx: Transaction, id: string, reason: string, actor: string): Promise<void> {
  const record = await lockRecord(tx, id);
  if (!record) throw unknownNode(id);
  if (record.admission === 'retired') throw new AssayError('conflict', `node ${id} is retired already`);
  await tx
    .update(node)
    .set({ admission: 'retired', admissionReason: `retired: ${reason}`, retiredAt: sql`now()` })
    .where(eq(node.id, id));
  await appendAudit(tx, { actor, act: 'node.retire', subject: id, detail: { reason, alias: record.alias } });
}

// The alias is locked before the record, as everywhere; so it has to be read first, and may have changed meanwhile.
async function lockWithAlias(tx: Transaction, id: string): Promise<NodeRecord> {
  const [found] = await tx.select({ alias: node.alias }).from(node).where(eq(node.id, id));
  if (!found) throw unknownNode(id);
  await lockAlias(tx, found.alias);
  const record = await lockRecord(tx, id);
  if (record?.alias === found.alias) return record;
  throw new AssayError('conflict', `node ${id} was enrolling just now; look at it again, then approve it`);
}

export function unknownNode(name: string): AssayError {
  return new AssayError('not-found', `there is no node ${name}`);
}
