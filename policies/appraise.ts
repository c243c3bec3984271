import type { ImaEntryMemo } from '../core/ima/replay.ts';
import type { ImaSignatureMemo } from '../core/ima/verify.ts';
import { withRemedy } from '../core/remedy.ts';
import type { TpmsClockInfo } from '../core/tpm/attest.ts';
import type { QuoteAppraisal, VerifiedQuote } from '../core/tpm/quote.ts';
import { resolveBoot, setsOfBoot } from './boot/boot-rules.ts';
import { type BootEvaluation, type BootEvidence, bootKey, evaluateBoot } from './boot/evaluate.ts';
import { evaluateConditions } from './conditions.ts';
import type { DigestSet } from './digests/digest-set.ts';
import { resolveIma } from './ima-policy.ts';
import type { Policy } from './policy.ts';
import { evaluateClock } from './rules/clock.ts';
import {
  type BrokenList,
  evaluateIma,
  type ImaEvaluation,
  type ImaEvidence,
  type JudgedList,
} from './rules/ima.ts';
import { evaluatePcrs } from './rules/pcrs.ts';
import type { Verdict } from './verdict.ts';

/** What a node showed, whichever way it came. */
export interface Evidence {
  readonly quote: QuoteAppraisal;
  /** What was measured while it booted; absent when it sent no log. */
  readonly boot?: BootEvidence;
  /** What it measured of its files; absent when it sent nothing. */
  readonly ima?: ImaEvidence | BrokenList;
}

/** What is known of the node from before. */
export interface NodeHistory {
  /** TPMS_CLOCK_INFO of its last accepted quote. */
  readonly clock?: TpmsClockInfo;
  /** What of its measurement list was proven and judged, in the boot of `clock` and under this very policy. */
  readonly ima?: JudgedList;
}

/** What a policy refers to, and what may be shared between nodes. */
export interface Knowledge {
  /** Digest sets by id. */
  readonly sets: ReadonlyMap<string, DigestSet>;
  readonly signatures?: ImaSignatureMemo;
  /** Boots that were judged under this very policy, by `bootKey`. */
  readonly boots?: BootMemo;
  /** Entries of measurement lists that passed under this very policy, with these sets. */
  readonly entries?: ImaEntryMemo | undefined;
}

/** Remembers evaluations of boots; it may forget any. */
export interface BootMemo {
  get(key: string): BootEvaluation | undefined;
  set(key: string, evaluation: BootEvaluation): void;
}

const NOTHING: Knowledge = { sets: new Map() };

/**
 * Judges evidence against a policy: pure, and lists every failed check, not the first, with what to do about it.
 *
 * A quote that does not verify is the end of it: nothing it says is looked at.
 */
export function appraise(
  policy: Policy,
  evidence: Evidence,
  history: NodeHistory,
  knowledge: Knowledge = NOTHING,
): Verdict {
  const verdict = judge(policy, evidence, history, knowledge);
  return verdict.outcome === 'pass' ? verdict : { ...verdict, findings: verdict.findings.map(withRemedy) };
}

function judge(policy: Policy, evidence: Evidence, history: NodeHistory, knowledge: Knowledge): Verdict {
  if (!evidence.quote.ok) return { outcome: 'fail', findings: evidence.quote.findings, byPolicy: false };
  const { quote } = evidence.quote;
  const { clockInfo } = quote;
  const clock = evaluateClock(clockInfo, history.clock);
  if (clock.findings.length > 0)
    return { outcome: 'fail', findings: clock.findings, byPolicy: false, clock: clockInfo };
  const missing = setsOf(policy).filter((id) => !knowledge.sets.has(id));
  if (missing.length > 0) {
    const message = `the policy names digest sets that are not here: ${missing.join(', ')}`;
    return { outcome: 'inconclusive', findings: [{ rule: 'policy.missing', message }] };
  }
  const before = clock.rebooted ? undefined : history.ima;
  const boot = evaluateOnce(policy, quote, evidence.boot, knowledge);
  const ima = evaluateFiles(policy, quote, evidence.ima, before, knowledge);
  const findings = [
    ...evaluatePcrs(policy.pcrs, quote),
    ...(boot?.findings ?? []),
    ...(ima?.findings ?? []),
    ...evaluateConditions(policy.when ?? [], quote, boot?.claims),
  ];
  const claims = boot?.claims ? { boot: boot.claims } : {};
  if (findings.length > 0) return { outcome: 'fail', findings, byPolicy: true, clock: clockInfo, ...claims };
  const undecided = [boot?.undecided, ima?.undecided].filter((finding) => finding !== undefined);
  if (undecided.length > 0) return { outcome: 'inconclusive', findings: undecided };
  const { rebooted, resumed } = clock;
  return {
    outcome: 'pass',
    findings: [],
    clock: clockInfo,
    rebooted,
    resumed,
    ...claims,
    ...(ima?.state ? { ima: ima.state } : {}),
  };
}

/** Ids of the digest sets that a policy needs. */
export function setsOf({ boot, ima }: Policy): readonly string[] {
  return [...new Set([...(boot ? setsOfBoot(boot) : []), ...(ima?.allow ?? [])])];
}

/** What a policy judges besides register values: a boot log, a measurement list. */
export function judgesOf({ boot, ima }: Pick<Policy, 'boot' | 'ima'>): ('boot' | 'files')[] {
  const byLog = boot !== undefined && boot.profile !== 'no-log';
  return [...(byLog ? (['boot'] as const) : []), ...(ima ? (['files'] as const) : [])];
}

/** A boot that was judged under this policy before is not judged again (rule `boot.always` needs no more). */
function evaluateOnce(
  { pcrs, boot }: Policy,
  quote: VerifiedQuote,
  evidence: BootEvidence | undefined,
  { sets, boots }: Knowledge,
): BootEvaluation | undefined {
  if (!boot || boot.profile === 'no-log') return undefined;
  const key = boots && bootKey({ quote, evidence });
  const known = key === undefined ? undefined : boots?.get(key);
  if (known) return known;
  const evaluation = evaluateBoot({ pcrs, policy: resolveBoot(boot, sets), quote, evidence });
  if (key !== undefined && !evaluation.undecided) boots?.set(key, evaluation);
  return evaluation;
}

function evaluateFiles(
  policy: Policy,
  quote: VerifiedQuote,
  evidence: ImaEvidence | BrokenList | undefined,
  before: JudgedList | undefined,
  { sets, signatures, entries }: Knowledge,
): ImaEvaluation | undefined {
  if (!policy.ima) return undefined;
  const memo = signatures ? { memo: signatures } : {};
  const rules = resolveIma(policy.ima, sets);
  return evaluateIma({ policy: rules, quote, evidence, before, known: [...sets.values()], entries, ...memo });
}
