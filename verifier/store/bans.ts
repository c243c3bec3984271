import { eq, sql } from 'drizzle-orm';
import { AssayError } from '../../core/errors.ts';
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
 * A person bans a node, whatever it showed so far.
 *
 * @param rule of the finding, when a rule and no person wants it
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
export async function unbanNode(tx: Transaction, { nodeId, reason, actor }: Act): Promise<void> {
  const { standing, epoch } = await lockKnown(tx, nodeId);
  if (standing !== 'banned' && standing !== 'failed') {
    throw new AssayError('conflict', `node ${nodeId} is neither banned nor failed`);
  }
  await tx
    .update(nodeTrust)
    .set({
      standing: 'unknown',
      trustedUntil: null,
      tpmClock: null,
      tpmResetCount: null,
      tpmRestartCount: null,
      ...changed(actor, reason),
    })
    .where(eq(nodeTrust.nodeId, nodeId));
  await appendTrustEvents(tx, [{ nodeId, kind: 'unbanned', epoch, detail: { actor, reason, reasons: [] } }]);
  await appendAudit(tx, {
    actor,
    act: 'node.unban',
    subject: nodeId,
    detail: { from: standing, epoch, reason },
  });
  await announceNode(tx, nodeId);
}

/**
 * Lifts a ban by a rule of the policy that gave it. The TPM's clock is kept: only a person may say that it was cleared.
 * Nothing happens when somebody else changed the node since.
 */
export async function recoverNode(
  tx: Transaction,
  { nodeId, epoch: seen, rule: name, passes, policy }: Recovered,
): Promise<void> {
  const { standing, epoch } = await lockKnown(tx, nodeId);
  if (standing !== 'banned' || epoch !== seen) return;
  const actor = `policy:${policy}`;
  const rule = `recovery.${name}`;
  const reason = `passed ${passes} times in a row after a ${name}`;
  await tx
    .update(nodeTrust)
    .set({ standing: 'unknown', trustedUntil: null, ...changed(actor, reason) })
    .where(eq(nodeTrust.nodeId, nodeId));
  const reasons = [{ rule, message: reason }];
  await appendTrustEvents(tx, [{ nodeId, kind: 'unbanned', epoch, detail: { actor, reason, reasons } }]);
  const detail = { from: standing, epoch, rule, reason };
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
