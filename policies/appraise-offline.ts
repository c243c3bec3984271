import { ParseError } from '../core/errors.ts';
import type { Finding } from '../core/finding.ts';
import { parseTpmsAttest, type TpmsAttest } from '../core/tpm/attest.ts';
import { checkAttestationKey } from '../core/tpm/attestation-key.ts';
import type { HashName } from '../core/tpm/constants.ts';
import type { PcrBanks } from '../core/tpm/pcr-selection.ts';
import type { TpmtPublic } from '../core/tpm/public.ts';
import { appraiseQuote, type QuoteAppraisal } from '../core/tpm/quote.ts';
import { appraise, type Evidence, type Knowledge, type NodeHistory } from './appraise.ts';
import type { Policy } from './policy.ts';
import { type ExpectedChannel, evaluateChannel } from './rules/channel.ts';
import type { Verdict } from './verdict.ts';

/** Evidence that was kept, of a quote that was made before and for somebody else's question. */
export interface KeptEvidence extends Pick<Evidence, 'boot' | 'ima'> {
  readonly akPublic: TpmtPublic;
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  readonly pcrValues: PcrBanks;
  /** What was asked with; absent where nobody knows, and then the quote may be of any time. */
  readonly nonce?: Uint8Array | undefined;
  /** Exactly what was asked for; absent where nobody knows: then what is quoted counts as asked for. */
  readonly asked?: { readonly bank: HashName; readonly pcrs: readonly number[] };
  /** What PCR 16 had to be. */
  readonly channel?: ExpectedChannel;
}

/** A verdict that was reached away from the node. */
export interface OfflineVerdict {
  readonly verdict: Verdict;
  /** What such a verdict does not rest on, in sentences. */
  readonly limits: readonly string[];
}

/**
 * Judges evidence as it is at hand. A quote over more than the policy asks for is as good; one over less is not
 * (rule `quote.selection`). Freshness is what the nonce shows and no more: see `limits`.
 */
export function appraiseOffline(
  policy: Policy,
  evidence: KeptEvidence,
  history: NodeHistory,
  knowledge: Knowledge,
): OfflineVerdict {
  const quote = quoteOf(policy, evidence);
  const { boot, ima } = evidence;
  const shown = { quote, ...(boot ? { boot } : {}), ...(ima ? { ima } : {}) };
  const verdict = appraise(policy, shown, history, knowledge);
  return { verdict, limits: limitsOf(evidence, history) };
}

function quoteOf(policy: Policy, evidence: KeptEvidence): QuoteAppraisal {
  const { akPublic, attest, signature, pcrValues } = evidence;
  const parsed = parseOrNothing(attest);
  const nonce = evidence.nonce ?? parsed?.extraData;
  const { bank } = policy.pcrs;
  const findings: Finding[] = [...checkAttestationKey(akPublic)];
  if (nonce === undefined || nonce.length === 0) {
    findings.push({
      rule: 'quote.nonce',
      message: 'the quote was made without a nonce: it can be of any time',
    });
  }
  const appraisal = appraiseQuote({
    ...{ akPublic, attest, signature, pcrValues },
    nonce: nonce && nonce.length > 0 ? nonce : NO_NONCE,
    selection: evidence.asked ?? selectionOf(policy, parsed),
  });
  if (!appraisal.ok) {
    const isNew = ({ rule }: Finding) => !findings.some((known) => known.rule === rule);
    return { ok: false, findings: [...findings, ...appraisal.findings.filter(isNew)] };
  }
  if (evidence.channel) findings.push(...evaluateChannel(appraisal.quote.pcrs, evidence.channel));
  const missing = policy.pcrs.selection.filter((pcr) => !appraisal.quote.pcrs.has(pcr));
  if (missing.length > 0) {
    const message = `the policy judges PCRs ${missing.join(',')} of bank ${bank}, and they are not quoted`;
    findings.push({ rule: 'quote.selection', message });
  }
  return findings.length > 0 ? { ok: false, findings } : appraisal;
}

/** Never the `extraData` of a quote that is accepted: the finding stands before. */
const NO_NONCE = Uint8Array.of(0);

function selectionOf({ pcrs: { bank, selection } }: Policy, attest: TpmsAttest | undefined) {
  if (attest?.attested.type !== 'quote') return { bank, pcrs: selection };
  const quoted = attest.attested.pcrSelect;
  const own = quoted.find(({ hash }) => hash === bank)?.pcrs ?? [];
  const alsoBanks = quoted.flatMap(({ hash, pcrs }) => (hash !== bank && pcrs.length > 0 ? [hash] : []));
  return { bank, pcrs: own.length > 0 ? own : selection, alsoBanks };
}

function parseOrNothing(attest: Uint8Array): TpmsAttest | undefined {
  try {
    return parseTpmsAttest(attest);
  } catch (error) {
    // appraiseQuote says what is wrong with it.
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}

function limitsOf({ nonce, ima }: KeptEvidence, { clock, ima: before }: NodeHistory): string[] {
  const limits: string[] = [];
  if (nonce === undefined)
    limits.push('no nonce was given: the quote is genuine, and may be of any time since the key was made');
  if (clock === undefined)
    limits.push('no earlier clock was given: an older quote of this TPM would look the same');
  if (ima && 'firstEntry' in ima && ima.firstEntry > 0 && before) {
    limits.push(
      `the measurement list begins at entry ${ima.firstEntry}: those before it are taken as judged, from the recorded value of PCR 10`,
    );
  }
  return limits;
}
