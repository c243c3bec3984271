import { eq, sql } from 'drizzle-orm';
import { AssayError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import { appendAudit } from '../../platform/audit.ts';
import type { Transaction } from '../../platform/database/index.ts';
import { nodeTrust } from '../../platform/database/schema.ts';
import { endTrust } from '../domain/transition.ts';
import type { Recovered } from '../polling/probation.ts';
import { appendTrustEvents } from './trust-events.ts';
import { announceNode, type LockedTrust, lockTrust } from './trust-rows.ts';

export interface Act {
  readonly nodeId: string;
  readonly reason: string;
  readonly actor: string;
}

/**
 * Bans a node, whatever it showed so far, because a person wants it.
 *
 * @param rule that wants it, in place of a person
 * @throws {AssayError} `not-found`, `conflict`
 */
export async function banNode(
  tx: Transaction,
  { nodeId, reason, actor }: Act,
  rule?: string,
): Promise<{ epoch: number }> {
  const row = await lockKnown(tx, nodeId);
  const { epoch, event } = endTrust(row, 'ban');
  if (event === undefined) throw new AssayError('conflict', `node ${nodeId} is banned already`);
  const reasons = [
    rule ? { rule, message: reason } : { rule: 'node.banned', message: `banned by ${actor}: ${reason}` },
  ];
  await tx
    .update(nodeTrust)
    .set({ epoch, standing: 'banned', trustedUntil: null, ...changed(actor, reason) })
    .where(eq(nodeTrust.nodeId, nodeId));
  await appendTrustEvents(tx, [{ nodeId, kind: event, epoch, detail: { actor, reason, reasons } }]);
  await appendAudit(tx, { actor, act: 'node.ban', subject: nodeId, detail: { epoch, reason } });
  await announceNode(tx, nodeId);
  return { epoch };
}

/**
 * A person lifts a ban or a fail. Nothing is trusted by that: the node must pass. The TPM's clock is forgotten, so
 * that a node whose TPM was cleared for a good reason can begin again.
 *
 * @throws {AssayError} `not-found`, `conflict`
 */
export async function unbanNode(tx: Transaction, act: Act): Promise<void> {
  const row = await lockKnown(tx, act.nodeId);
  if (row.standing !== 'banned' && row.standing !== 'failed') {
    throw new AssayError('conflict', `node ${act.nodeId} is neither banned nor failed`);
  }
  await tx
    .update(nodeTrust)
    .set({ tpmClock: null, tpmResetCount: null, tpmRestartCount: null })
    .where(eq(nodeTrust.nodeId, act.nodeId));
  await lift(tx, row, act, []);
}

/**
 * Lifts a ban by a rule of the node's policy. The TPM's clock is kept: only a person may say that it was cleared.
 * Nothing happens when somebody else changed the node since.
 */
export async function recoverNode(
  tx: Transaction,
  { nodeId, epoch, rule, passes, policy }: Recovered,
): Promise<void> {
  const row = await lockKnown(tx, nodeId);
  if (row.standing !== 'banned' || row.epoch !== epoch) return;
  const reason = `passed ${passes} times in a row after a ${rule}`;
  await lift(tx, row, { nodeId, reason, actor: `policy:${policy}` }, [
    { rule: `recovery.${rule}`, message: reason },
  ]);
}

async function lift(
  tx: Transaction,
  { standing, epoch }: LockedTrust,
  { nodeId, reason, actor }: Act,
  reasons: readonly Finding[],
): Promise<void> {
  await tx
    .update(nodeTrust)
    .set({ standing: 'unknown', trustedUntil: null, ...changed(actor, reason) })
    .where(eq(nodeTrust.nodeId, nodeId));
  await appendTrustEvents(tx, [{ nodeId, kind: 'unbanned', epoch, detail: { actor, reason, reasons } }]);
  const detail = { from: standing, epoch, reason, ...(reasons[0] ? { rule: reasons[0].rule } : {}) };
  await appendAudit(tx, { actor, act: 'node.unban', subject: nodeId, detail });
  await announceNode(tx, nodeId);
}

function changed(actor: string, reason: string) {
  return { changedAt: sql`now()`, changedBy: actor, note: reason };
}

async function lockKnown(tx: Transaction, nodeId: string): Promise<LockedTrust> {
  const row = await lockTrust(tx, nodeId);
  if (!row) throw new AssayError('not-found', `there is no node ${nodeId}`);
  return row;
}
