import { eq, sql } from 'drizzle-orm';
import type { TpmsClockInfo } from '../../core/tpm/attest.ts';
import { appendAudit } from '../../platform/audit.ts';
import type { Database, Transaction } from '../../platform/database/index.ts';
import { nodeTrust, verdict } from '../../platform/database/schema.ts';
import type { Lease, ShardLeases } from '../../platform/leases.ts';
import { endTrust, type TrustEnd } from '../domain/transition.ts';
import type { Failure } from '../polling/judgement.ts';
import { appendTrustEvents } from './trust-events.ts';
import { type LockedTrust, lockTrust } from './trust-rows.ts';

const ACTOR = 'service:verifier';

/** `undefined`: the shard is not ours any more, or the record or the epoch has moved on; the fail is void. */
export type FailOutcome = TrustEnd | undefined;

/**
 * Ends trust for a fail, at once: the row's lock, the new epoch, the verdict with its evidence, the event and the
 * audit entry are one transaction.
 *
 * @param elapsed milliseconds since the nonce was made
 */
export async function recordFail(
  database: Database,
  leases: Pick<ShardLeases, 'stillHeld'>,
  lease: Lease,
  failure: Failure,
  elapsed: () => number,
): Promise<FailOutcome> {
  const { record, epoch } = failure;
  return database.transaction(async (tx) => {
    const held = await leases.stillHeld(tx, [lease]);
    if (!held.has(record.shard)) return undefined;
    const row = await lockTrust(tx, record.id);
    if (!row || row.version !== record.version || row.epoch !== epoch) return undefined;
    if (row.admission !== 'admitted' || row.standing === 'banned') return undefined;
    const end = endTrust(row, failure.effect);
    await writeRow(tx, failure, end, row, elapsed());
    await writeHistory(tx, failure, end);
    return end;
  });
}

async function writeRow(
  tx: Transaction,
  { record, findings, policy, clock }: Failure,
  { epoch, standing, event }: TrustEnd,
  before: LockedTrust,
  elapsedMs: number,
): Promise<void> {
  const askedAt = sql`statement_timestamp() - ${elapsedMs} * interval '1 millisecond'`;
  await tx
    .update(nodeTrust)
    .set({
      epoch,
      standing,
      nodeVersion: record.version,
      trustedUntil: null,
      outcome: 'fail',
      reasons: findings,
      judgedAt: askedAt,
      policyName: policy?.name ?? null,
      policyVersion: policy?.version ?? null,
      ...clockColumns(clock),
      ...(event === undefined && standing === before.standing
        ? {}
        : { changedAt: sql`now()`, changedBy: causeOf(policy, clock), note: '' }),
    })
    .where(eq(nodeTrust.nodeId, record.id));
}

/** Only evidence that is sound has a clock: then a rule of the policy failed, and the policy may say how that ends. */
function causeOf(policy: Failure['policy'], clock: TpmsClockInfo | undefined): string {
  return policy && clock ? `policy:${policy.name}@${policy.version}` : 'verifier';
}

function clockColumns(clock: TpmsClockInfo | undefined) {
  if (!clock) return {};
  return { tpmClock: clock.clock, tpmResetCount: clock.resetCount, tpmRestartCount: clock.restartCount };
}

async function writeHistory(tx: Transaction, failure: Failure, { epoch, event }: TrustEnd): Promise<void> {
  const { record, findings: reasons, policy, evidence, otherEvidence } = failure;
  await tx.insert(verdict).values({
    nodeId: record.id,
    nodeVersion: record.version,
    outcome: 'fail',
    reasons,
    policyName: policy?.name ?? null,
    policyVersion: policy?.version ?? null,
    evidence: { ...evidence, ...(otherEvidence ? { other: otherEvidence } : {}) },
  });
  if (event === undefined) return;
  const detail = { ...(policy ? { policy: `${policy.name}@${policy.version}` } : {}), reasons };
  await appendTrustEvents(tx, [{ nodeId: record.id, kind: event, epoch, detail }]);
  await appendAudit(tx, {
    actor: ACTOR,
    act: `trust.${event}`,
    subject: record.id,
    detail: { epoch, ...detail },
  });
}
