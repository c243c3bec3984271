import type { Finding } from '../core/finding.ts';
import type { TpmsClockInfo } from '../core/tpm/attest.ts';
import type { QuoteAppraisal, VerifiedQuote } from '../core/tpm/quote.ts';
import type { Policy } from './policy.ts';
import { evaluateClock } from './rules/clock.ts';
import { evaluatePcrs } from './rules/pcrs.ts';
import type { Verdict } from './verdict.ts';

/** What a node showed, whichever way it came. Logs join here when the policy language asks for them. */
export interface Evidence {
  readonly quote: QuoteAppraisal;
}

/** What is known of the node from before. */
export interface NodeHistory {
  /** TPMS_CLOCK_INFO of its last accepted quote. */
  readonly clock?: TpmsClockInfo;
}

/**
 * Judges evidence against a policy: pure, and lists every failed check, not the first.
 *
 * A quote that does not verify is the end of it: nothing it says is looked at.
 */
export function appraise(policy: Policy, evidence: Evidence, history: NodeHistory): Verdict {
  if (!evidence.quote.ok) return { outcome: 'fail', findings: evidence.quote.findings, byPolicy: false };
  const { quote } = evidence.quote;
  const { clockInfo } = quote;
  const clock = evaluateClock(clockInfo, history.clock);
  if (clock.findings.length > 0)
    return { outcome: 'fail', findings: clock.findings, byPolicy: false, clock: clockInfo };
  const findings = evaluateQuote(policy, quote);
  return findings.length > 0
    ? { outcome: 'fail', findings, byPolicy: true, clock: clockInfo }
    : { outcome: 'pass', findings: [], clock: clockInfo, rebooted: clock.rebooted };
}

function evaluateQuote(policy: Policy, quote: VerifiedQuote): Finding[] {
  return evaluatePcrs(policy.pcrs, quote);
}
