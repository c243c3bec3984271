import type { Knowledge } from '../../policies/appraise.ts';
import { judgesOf } from '../../policies/appraise.ts';
import { appraiseOffline } from '../../policies/appraise-offline.ts';
import { evidenceIn } from '../../policies/bundle/contents.ts';
import type { Policy } from '../../policies/policy.ts';
import type { Verdict } from '../../policies/verdict.ts';
import { type BundleSource, bundledEvidence } from './bundle.ts';

/** What is kept of a node's last pass. */
export type KeptEvidence = Pick<BundleSource, 'at' | 'evidence' | 'firmware' | 'userspace'>;

export type KeptVerdict =
  | { readonly kind: 'pass' }
  | { readonly kind: 'fail'; readonly verdict: Extract<Verdict, { outcome: 'fail' }> }
  /** Only the node can show what this policy asks for. */
  | { readonly kind: 'ask'; readonly why: string };

/**
 * Judges what a node showed before by another policy than it was judged by then. What was not asked for or not kept
 * decides nothing: a fail is what the policy's own rules say of what is there, and a pass needs all that the policy
 * judges. It is about the time when it was shown, so a pass gives no trust (rule `trust.expires`).
 */
export function judgeKept(policy: Policy, kept: KeptEvidence, knowledge: Knowledge): KeptVerdict {
  const { evidence, firmware } = kept;
  const { bank, selection } = policy.pcrs;
  const unasked =
    bank === evidence.bank ? selection.filter((pcr) => !evidence.pcrs.includes(pcr)) : selection;
  if (unasked.length > 0)
    return { kind: 'ask', why: `PCRs ${unasked.join(',')} of bank ${bank} were not quoted` };
  if (judgesOf(policy).includes('boot') && !firmware) return { kind: 'ask', why: 'no boot log is kept' };
  const { ima } = evidence;
  const wholeList = ima !== undefined && ima.firstEntry === 0 && !ima.truncated;
  const { ima: files, ...others } = policy;
  const parts = evidenceIn(bundledEvidence(kept));
  if ('findings' in parts) return { kind: 'ask', why: 'the quote was not kept whole' };
  // A list of which only the last part is kept leaves the rules for files to the next quote.
  const judged = files && wholeList ? policy : others;
  const { verdict } = appraiseOffline(judged, parts.kept, {}, knowledge);
  if (verdict.outcome === 'fail' && verdict.byPolicy) return { kind: 'fail', verdict };
  if (verdict.outcome !== 'pass')
    return { kind: 'ask', why: verdict.findings[0]?.message ?? 'it is undecided' };
  if (files && !wholeList) return { kind: 'ask', why: 'the measurement list is not kept from its beginning' };
  return { kind: 'pass' };
}
