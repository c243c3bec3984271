import type { Outcome } from '../../platform/database/schema.ts';
import { reasonKeyOf } from '../domain/reasons.ts';
import type { NewTrustEvent } from '../store/trust-events.ts';
import type { Extension, Undecided } from './judgement.ts';
import type { TrustSnapshot } from './polled-node.ts';

/** What a verdict that does not end trust changes, besides the row. */
export interface Changes {
  readonly history: boolean;
  readonly events: readonly NewTrustEvent[];
  /** What is recorded once it is written. */
  readonly next: TrustSnapshot;
}

/** Compares a verdict with what was recorded before: history and events are about changes, not about each poll. */
export function changesOf(trust: TrustSnapshot, verdict: Extension | Undecided, now: number): Changes {
  const policy = verdict.policy ? `${verdict.policy.name}@${verdict.policy.version}` : null;
  const reasonKey = reasonKeyOf(verdict.findings);
  const outcome: Outcome = verdict.kind === 'extend' ? verdict.outcome : 'inconclusive';
  const version = verdict.record.version;
  const otherVerdict = trust.outcome !== outcome || trust.reasonKey !== reasonKey || trust.policy !== policy;
  const seen = { ...trust, outcome, reasonKey, policy };
  const trusted = trust.standing === 'passing' && trust.nodeVersion === version && trust.trustedUntil > now;
  if (verdict.kind === 'undecided') {
    const lost = trusted && trust.outcome !== 'inconclusive';
    return { history: otherVerdict, events: lost ? [eventOf(verdict, 'inconclusive', {})] : [], next: seen };
  }
  const { clock, rebooted, resumed, askedAt, trustForMs } = verdict;
  const events = [
    ...(trusted ? [] : [eventOf(verdict, 'trusted', {})]),
    ...(rebooted ? [eventOf(verdict, 'rebooted', { resetCount: clock.resetCount })] : []),
    ...(resumed ? [eventOf(verdict, 'resumed', { restartCount: clock.restartCount })] : []),
    ...(outcome === 'fail' && otherVerdict ? [eventOf(verdict, 'reported', {})] : []),
  ];
  const next = { ...seen, standing: 'passing' as const, nodeVersion: version, clock, ima: verdict.ima };
  return {
    history: otherVerdict || rebooted || trust.nodeVersion !== version,
    events,
    next: { ...next, trustedUntil: askedAt + trustForMs },
  };
}

function eventOf(
  { record, epoch, policy, findings }: Extension | Undecided,
  kind: NewTrustEvent['kind'],
  more: Readonly<Record<string, unknown>>,
): NewTrustEvent {
  const detail = {
    ...(policy ? { policy: `${policy.name}@${policy.version}` } : {}),
    reasons: findings,
    ...more,
  };
  return { nodeId: record.id, kind, epoch, detail };
}
