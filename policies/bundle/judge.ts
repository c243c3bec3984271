import { fromBase64, printable } from '../../core/bytes/encoding.ts';
import type { Finding } from '../../core/finding.ts';
import { nodeIdOf } from '../../core/identity.ts';
import type { EvidenceBundle } from '../../core/messages/bundle.ts';
import { spkiOf } from '../../core/tpm/key.ts';
import { parseTpm2bPublic } from '../../core/tpm/public.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { appraiseEkCertificate } from '../../core/x509/ek-profile.ts';
import { appraiseOffline, type OfflineVerdict } from '../appraise-offline.ts';
import type { DigestSet } from '../digests/digest-set.ts';
import { parsePolicy } from '../language/parse.ts';
import { openPolicy } from '../language/signed.ts';
import type { Policy } from '../policy.ts';
import type { Verdict } from '../verdict.ts';
import { evidenceIn, historyIn, setsIn } from './contents.ts';

export interface BundleQuestion {
  /** In place of the bundle's own. */
  readonly policy?: Policy;
  /** Digest sets that are at hand, besides those in the bundle. */
  readonly sets?: readonly DigestSet[];
  /** Manufacturers that are trusted; absent: the EK certificate is held against the bundle's own chain alone. */
  readonly roots?: readonly Certificate[];
}

export interface BundleJudgement {
  readonly policy: Policy;
  /** Reached here and now, from what is in the bundle. */
  readonly verdict: Verdict;
  /** Whether that is what was recorded; undefined under another policy than the bundle's. */
  readonly agrees: boolean | undefined;
  /** `rule` or `rule/pcr` of reasons that only one of the two has. */
  readonly onlyRecorded: readonly string[];
  readonly onlyHere: readonly string[];
  /** What this judgement does not rest on, in sentences. */
  readonly limits: readonly string[];
  /** Whether a manufacturer vouches for the TPM, by `roots`. */
  readonly ekCertified: boolean;
}

/** Rules that were judged by asking somebody else too: no bundle can show that. */
const NOT_SHOWN: ReadonlySet<string> = new Set(['id.clone']);

/**
 * Judges the content of a bundle as if it had just come, and compares that with what was recorded. Does not look at the
 * envelope: who vouches for what cannot be judged from here is said by isSealedBy.
 *
 * @throws {ParseError} for parts that are not what they should be
 * @throws {AssayError} `invalid-policy` when the policy in it does not parse
 */
export function judgeBundle(bundle: EvidenceBundle, question: BundleQuestion = {}): BundleJudgement {
  const own = parsePolicy(openPolicy(bundle.policy.document).text, bundle.policy.name);
  const policy = question.policy ?? own;
  const included = setsIn(bundle);
  const identity = judgeIdentity(bundle, question.roots);
  const naming = own.name === bundle.policy.name ? [] : [misnamed(bundle, own)];
  const sets = new Map([...included.sets, ...(question.sets ?? [])].map((set) => [set.id, set]));
  const judged = judgeEvidence(bundle, policy, sets, question.policy === undefined);
  const around = [...included.findings, ...naming, ...identity.findings];
  const verdict = withFindings(judged.verdict, around);
  return {
    ...{ policy, verdict, ekCertified: identity.certified },
    ...compare(bundle, verdict, question.policy === undefined),
    limits: [...judged.limits, ...identity.limits, ...unseen(bundle)],
  };
}

function judgeEvidence(
  bundle: EvidenceBundle,
  policy: Policy,
  sets: ReadonlyMap<string, DigestSet>,
  samePolicy: boolean,
): OfflineVerdict {
  const evidence = evidenceIn(bundle);
  if ('findings' in evidence) {
    return { verdict: { outcome: 'fail', findings: evidence.findings, byPolicy: false }, limits: [] };
  }
  const { ima, ...others } = historyIn(bundle);
  // What was judged before was judged by the bundle's policy alone.
  const history = samePolicy && ima ? { ...others, ima } : others;
  const result = appraiseOffline(policy, evidence.kept, history, { sets });
  if (bundle.logs.ima?.complete !== false) return result;
  const cut = 'the measurement list was too long to be kept and is cut';
  if (!result.verdict.findings.some(({ rule }) => rule === 'ima.prefix')) return result;
  const findings = [{ rule: 'bundle.cut', message: `${cut}: the entries that were quoted are not all here` }];
  return { verdict: { outcome: 'inconclusive', findings }, limits: result.limits };
}

interface IdentityJudgement {
  readonly findings: readonly Finding[];
  readonly limits: readonly string[];
  readonly certified: boolean;
}

function judgeIdentity(
  { node, judgedAt }: EvidenceBundle,
  roots: readonly Certificate[] | undefined,
): IdentityJudgement {
  const ekSpki = spkiOf(parseTpm2bPublic(fromBase64(node.ekPublic, 'bundle.node.ekPublic')));
  const id = nodeIdOf(ekSpki);
  const findings: Finding[] =
    id === node.id
      ? []
      : [{ rule: 'bundle.node', message: `the EK is that of node ${id}, not of ${node.id}` }];
  if (node.ekCertificate === null) {
    return {
      findings,
      limits: ['there is no EK certificate: no manufacturer vouches for the TPM'],
      certified: false,
    };
  }
  const chain = node.ekChain.map((der) => certificateOf(der, 'bundle.node.ekChain'));
  const certificate = certificateOf(node.ekCertificate, 'bundle.node.ekCertificate');
  const anchors = roots ?? chain.slice(-1);
  const appraisal = appraiseEkCertificate({ certificate, chain, anchors, ekSpki, at: new Date(judgedAt) });
  const { subject } = appraisal.path.at(-1) ?? certificate;
  const limit = `the EK certificate leads to "${printable(subject.text)}", which was compared with no root: name yours with --roots`;
  return {
    findings: [...findings, ...appraisal.findings],
    limits: roots ? [] : [limit],
    certified: roots !== undefined && appraisal.ok,
  };
}

function certificateOf(der: string, field: string): Certificate {
  return parseCertificate(fromBase64(der, field), { mode: 'lenient' });
}

function misnamed({ policy }: EvidenceBundle, own: Policy): Finding {
  return { rule: 'bundle.policy', message: `the policy that is here as ${policy.name} is ${own.name}` };
}

/** What is wrong around the evidence is wrong, whatever the evidence says. */
function withFindings(verdict: Verdict, around: readonly Finding[]): Verdict {
  if (around.length === 0) return verdict;
  return { outcome: 'fail', findings: [...around, ...verdict.findings], byPolicy: false };
}

function compare({ verdict: recorded }: EvidenceBundle, { outcome, findings }: Verdict, samePolicy: boolean) {
  const before = new Set(recorded.reasons.filter(({ rule }) => !NOT_SHOWN.has(rule)).map(keyOf));
  const now = new Set(findings.map(keyOf));
  const onlyRecorded = samePolicy ? [...before].filter((key) => !now.has(key)) : [];
  const onlyHere = samePolicy ? [...now].filter((key) => !before.has(key)) : [];
  const sameOutcome =
    outcome === recorded.outcome || recorded.reasons.some(({ rule }) => NOT_SHOWN.has(rule));
  const agrees = samePolicy ? sameOutcome && onlyRecorded.length + onlyHere.length === 0 : undefined;
  return { agrees, onlyRecorded, onlyHere };
}

function keyOf({ rule, pcr }: Finding): string {
  return pcr === undefined ? rule : `${rule}/${pcr}`;
}

function unseen({ verdict }: EvidenceBundle): string[] {
  const rules = verdict.reasons.filter(({ rule }) => NOT_SHOWN.has(rule)).map(({ rule }) => rule);
  return [
    'that the AK is in the TPM with this EK was shown to the verifier when the node enrolled, and is its word here',
    ...rules.map(
      (rule) => `${rule} was recorded and cannot be judged from a bundle: another machine was asked too`,
    ),
  ];
}
