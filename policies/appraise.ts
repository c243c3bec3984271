import type { ImaState } from '../core/ima/replay.ts';
import type { ImaSignatureMemo } from '../core/ima/verify.ts';
import type { TpmsClockInfo } from '../core/tpm/attest.ts';
import type { QuoteAppraisal, VerifiedQuote } from '../core/tpm/quote.ts';
import type { DigestSet } from './digests/digest-set.ts';
import { resolveIma } from './ima-policy.ts';
import type { Policy } from './policy.ts';
import { evaluateClock } from './rules/clock.ts';
import { type BrokenList, evaluateIma, type ImaEvaluation, type ImaEvidence } from './rules/ima.ts';
import { evaluatePcrs } from './rules/pcrs.ts';
import type { Verdict } from './verdict.ts';

/** What a node showed, whichever way it came. */
export interface Evidence {
  readonly quote: QuoteAppraisal;
  /** What it measured of its files; absent when it sent nothing. */
  readonly ima?: ImaEvidence | BrokenList;
}

/** What is known of the node from before. */
export interface NodeHistory {
  /** TPMS_CLOCK_INFO of its last accepted quote. */
  readonly clock?: TpmsClockInfo;
  /** What of its measurement list was proven and judged, in the boot of `clock` and under this very policy. */
  readonly ima?: ImaState;
}

/** What a policy refers to, and what may be shared between nodes. */
export interface Knowledge {
  /** Digest sets by id. */
  readonly sets: ReadonlyMap<string, DigestSet>;
  readonly signatures?: ImaSignatureMemo;
}

const NOTHING: Knowledge = { sets: new Map() };

/**
 * Judges evidence against a policy: pure, and lists every failed check, not the first.
 *
 * A quote that does not verify is the end of it: nothing it says is looked at.
 */
export function appraise(
  policy: Policy,
  evidence: Evidence,
  history: NodeHistory,
  knowledge: Knowledge = NOTHING,
): Verdict {
  if (!evidence.quote.ok) return { outcome: 'fail', findings: evidence.quote.findings, byPolicy: false };
  const { quote } = evidence.quote;
  const { clockInfo } = quote;
  const clock = evaluateClock(clockInfo, history.clock);
  if (clock.findings.length > 0)
    return { outcome: 'fail', findings: clock.findings, byPolicy: false, clock: clockInfo };
  const before = clock.rebooted ? undefined : history.ima;
  const ima = evaluateFiles(policy, quote, evidence.ima, before, knowledge);
  if (ima && 'missing' in ima) {
    const message = `the policy names digest sets that are not here: ${ima.missing.join(', ')}`;
    return { outcome: 'inconclusive', findings: [{ rule: 'policy.missing', message }] };
  }
  const findings = [...evaluatePcrs(policy.pcrs, quote), ...(ima?.findings ?? [])];
  if (findings.length > 0) return { outcome: 'fail', findings, byPolicy: true, clock: clockInfo };
  if (ima?.undecided) return { outcome: 'inconclusive', findings: [ima.undecided] };
  const { rebooted } = clock;
  return {
    outcome: 'pass',
    findings: [],
    clock: clockInfo,
    rebooted,
    ...(ima?.state ? { ima: ima.state } : {}),
  };
}

function evaluateFiles(
  policy: Policy,
  quote: VerifiedQuote,
  evidence: ImaEvidence | BrokenList | undefined,
  before: ImaState | undefined,
  { sets, signatures }: Knowledge,
): ImaEvaluation | { readonly missing: readonly string[] } | undefined {
  if (!policy.ima) return undefined;
  const rules = resolveIma(policy.ima, sets);
  if ('missing' in rules) return rules;
  const memo = signatures ? { memo: signatures } : {};
  return evaluateIma({ policy: rules, quote, evidence, before, known: [...sets.values()], ...memo });
}
