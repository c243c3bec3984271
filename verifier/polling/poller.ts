import type { Finding } from '../../core/finding.ts';
import type { ImaState } from '../../core/ima/replay.ts';
import type { RandomBytes } from '../../core/tpm/seed.ts';
import { appraise } from '../../policies/appraise.ts';
import type { Verdict } from '../../policies/verdict.ts';
import { readQuote, type StoredEvidence, storedEvidence } from '../domain/evidence.ts';
import { imaProgress, imaStateOf, readMeasurementList } from '../domain/ima-progress.ts';
import { makeNonce } from '../domain/nonce.ts';
import { effectOf } from '../domain/transition.ts';
import type { EvidenceSource } from '../transport/evidence-source.ts';
import type { CloneProbe } from './clone-probe.ts';
import type { Extension, Failure, Judgement } from './judgement.ts';
import type { AssignedPolicy, PolicyBook } from './policy-book.ts';
import { identityOf, type NodeIdentity, type PolledNode } from './polled-node.ts';

export interface PollerOptions {
  readonly policies: PolicyBook;
  readonly source: EvidenceSource;
  readonly probeClone: CloneProbe;
  readonly randomBytes: RandomBytes;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Told of faults of ours, which become the verdict `internal`. */
  readonly onFault: (error: unknown, nodeId: string) => void;
  /** In place of the real one, for tests of what happens when it throws. */
  readonly appraise?: typeof appraise | undefined;
}

export type Poller = (node: PolledNode) => Promise<Judgement>;

type Basis = Pick<Extension, 'record' | 'epoch' | 'askedAt' | 'policy'>;

/** One attestation of one node, from the nonce to what is to be recorded. It never throws (rule `api.total`). */
export function poller(options: PollerOptions): Poller {
  const { policies, now, onFault } = options;
  return async (node) => {
    const basis = { record: node.record, epoch: node.trust.epoch, askedAt: now() };
    const assigned = policies.policyFor(node.record);
    if (!assigned) return { ...basis, kind: 'undecided', findings: [policies.whyNone(node.record)] };
    const judged = { ...basis, policy: { name: assigned.name, version: assigned.version } };
    try {
      return await attest(options, node, assigned, judged);
    } catch (error) {
      onFault(error, node.record.id);
      return undecided(judged, 'internal', 'the verifier could not finish; see its log');
    }
  };
}

async function attest(
  options: PollerOptions,
  node: PolledNode,
  assigned: AssignedPolicy,
  basis: Basis,
): Promise<Judgement> {
  node.identity ??= identityOf(node.record);
  const { identity } = node;
  if (!identity) return undecided(basis, 'node.identity', 'the node registered without a TLS certificate');
  const known = assigned.policy.ima && imaStateOf(node.ima, assigned);
  const asked = { node, identity, assigned, basis };
  const first = await askOnce(options, asked, known);
  const judgement = known && lacksEntries(first) ? await askOnce(options, asked, undefined) : first;
  if (judgement.kind !== 'extend' || !basis.record.previousContact) return judgement;
  return refuseClone(options, judgement, assigned, identity);
}

interface Asked {
  readonly node: PolledNode;
  readonly identity: NodeIdentity;
  readonly assigned: AssignedPolicy;
  readonly basis: Basis;
}

/** @param known what of the measurement list is known: the rest is asked for */
async function askOnce(
  options: PollerOptions,
  { node, identity, assigned, basis }: Asked,
  known: ImaState | undefined,
): Promise<Judgement> {
  const { policy, pcrs, mask } = assigned;
  const { bank } = policy.pcrs;
  const nonce = makeNonce(options.randomBytes);
  const { apiVersion, akPublic } = node.record;
  const reportKey = identity.binding === 'reported-key';
  const answer = await options.source.ask(identity.peer, {
    ...{ nonce, mask, apiVersion, reportKey },
    ...(policy.ima ? { imaFrom: known?.entries ?? 0 } : {}),
  });
  if (!answer.came) return { ...basis, kind: 'undecided', findings: [answer.finding] };
  const channel = identity.channel(bank, answer.publicKey);
  if (!channel) return undecided(basis, 'node.answer', 'the agent did not say which key its quote binds');
  const request = { nonce, bank, pcrs, akPublic: identity.akPublic, channel };
  const quote = readQuote(answer.quote, request);
  const evidence = storedEvidence(answer.quote, request, akPublic, answer.ima);
  const history = { ...(node.clock ? { clock: node.clock } : {}), ...(known ? { ima: known } : {}) };
  const shown = { quote, ...(answer.ima ? { ima: readMeasurementList(answer.ima) } : {}) };
  const verdict = (options.appraise ?? appraise)(policy, shown, history, options.policies.knowledge());
  return judge(basis, assigned, verdict, evidence, node.passes);
}

/** The node began a new list, or shows another part than was asked for: all of it is looked at. */
function lacksEntries(judgement: Judgement): boolean {
  return judgement.kind === 'undecided' && judgement.findings.some(({ rule }) => rule === 'ima.prefix');
}

function judge(
  basis: Basis,
  assigned: AssignedPolicy,
  verdict: Verdict,
  evidence: StoredEvidence,
  passNumber: number,
): Judgement {
  const { policy } = assigned;
  if (verdict.outcome === 'inconclusive') return { ...basis, kind: 'undecided', findings: verdict.findings };
  const { findings } = verdict;
  if (verdict.outcome === 'fail') {
    const effect = effectOf(verdict, policy.reaction);
    // The clock of evidence that is not sound is not the node's.
    const clock = verdict.byPolicy ? verdict.clock : undefined;
    if (effect !== 'report') {
      return { ...basis, kind: 'fail', findings, effect, evidence, ...(clock ? { clock } : {}) };
    }
    if (clock) {
      const reported = { outcome: 'fail', findings, clock, evidence, rebooted: false, passNumber } as const;
      return extension(basis, policy, reported);
    }
    throw new TypeError('a policy that reports judged evidence without a clock');
  }
  const { clock, rebooted } = verdict;
  const ima = verdict.ima ? { ima: imaProgress(verdict.ima, assigned) } : {};
  return extension(basis, policy, {
    outcome: 'pass',
    findings,
    clock,
    rebooted,
    evidence,
    passNumber,
    ...ima,
  });
}

function extension(
  basis: Basis,
  policy: AssignedPolicy['policy'],
  found: Pick<Extension, 'outcome' | 'findings' | 'clock' | 'rebooted' | 'evidence' | 'passNumber' | 'ima'>,
): Extension {
  return { ...basis, ...found, kind: 'extend', trustForMs: policy.freshness.trustForMs };
}

/** Rule `id.clone`: before a moved node is trusted, nobody may answer where it was before. */
async function refuseClone(
  { probeClone, now }: PollerOptions,
  judgement: Extension,
  assigned: AssignedPolicy,
  identity: NodeIdentity,
): Promise<Extension | Failure> {
  const reading = { clock: judgement.clock, asked: judgement.askedAt, answered: now() };
  const found = await probeClone({ record: judgement.record, identity, assigned, reading });
  if (!found) return judgement;
  const { finding, evidence: otherEvidence } = found;
  const { record, epoch, askedAt, policy, evidence } = judgement;
  const basis = { record, epoch, askedAt, ...(policy ? { policy } : {}) };
  return { ...basis, kind: 'fail', findings: [finding], effect: 'ban', evidence, otherEvidence };
}

function undecided(basis: Basis, rule: string, message: string): Judgement {
  const finding: Finding = { rule, message };
  return { ...basis, kind: 'undecided', findings: [finding] };
}
