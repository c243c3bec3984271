import type { Finding } from '../../core/finding.ts';
import { withRemedy } from '../../core/remedy.ts';
import type { RandomBytes } from '../../core/tpm/seed.ts';
import { appraise } from '../../policies/appraise.ts';
import type { BootEvidence } from '../../policies/boot/evaluate.ts';
import type { BrokenList } from '../../policies/rules/ima.ts';
import type { Verdict } from '../../policies/verdict.ts';
import { bootEvidence, knownLogs } from '../domain/boot-logs.ts';
import { readQuote, type StoredEvidence, storedEvidence } from '../domain/evidence.ts';
import {
  imaProgress,
  type KnownList,
  knownListOf,
  readMeasurementList,
  type ShownList,
} from '../domain/ima-progress.ts';
import { makeNonce } from '../domain/nonce.ts';
import { effectOf } from '../domain/transition.ts';
import type { EvidenceRequest, EvidenceSource, KnownLogs } from '../transport/evidence-source.ts';
import type { CloneProbe } from './clone-probe.ts';
import type { Extension, Failure, Judgement } from './judgement.ts';
import type { LogKeeper } from './log-keeper.ts';
import type { AssignedPolicy, PolicyBook } from './policy-book.ts';
import { identityOf, type NodeIdentity, type PolledNode } from './polled-node.ts';

export interface PollerOptions {
  readonly policies: PolicyBook;
  readonly source: EvidenceSource;
  readonly probeClone: CloneProbe;
  readonly keepLogs: LogKeeper;
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
  const judge = async (node: PolledNode): Promise<Judgement> => {
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
  return async (node) => {
    const judgement = await judge(node);
    const { findings } = judgement;
    return findings.length === 0 ? judgement : { ...judgement, findings: findings.map(withRemedy) };
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
  const { whole } = node;
  node.whole = false;
  const known = whole ? { ...knownOf(node, assigned), list: undefined } : knownOf(node, assigned);
  const asked = { node, identity, assigned, basis, whole };
  const first = await askOnce(options, asked, known);
  const isPart = known.list !== undefined || known.boot.firmware !== undefined;
  const judgement = isPart && lacksParts(first) ? await askOnce(options, asked, NOTHING_KNOWN) : first;
  if (judgement.kind !== 'extend' || !basis.record.previousContact) return judgement;
  return refuseClone(options, judgement, assigned, identity);
}

interface Asked {
  readonly node: PolledNode;
  readonly identity: NodeIdentity;
  readonly assigned: AssignedPolicy;
  readonly basis: Basis;
  /** All of the measurement list is to be kept. */
  readonly whole: boolean;
}

/** What a node need not send again. */
interface Known {
  readonly list: KnownList | undefined;
  readonly boot: KnownLogs;
}

const NOTHING_KNOWN: Known = { list: undefined, boot: {} };

function knownOf(node: PolledNode, assigned: AssignedPolicy): Known {
  return {
    list: assigned.policy.ima && knownListOf(node.ima, assigned),
    boot: node.boot ?? {},
  };
}

async function askOnce(options: PollerOptions, asked: Asked, known: Known): Promise<Judgement> {
  const { node, identity, assigned, basis, whole } = asked;
  const { policy, pcrs } = assigned;
  const { bank } = policy.pcrs;
  const nonce = makeNonce(options.randomBytes);
  const answer = await options.source.ask(identity.peer, requestOf(asked, nonce, known));
  if (!answer.came) return { ...basis, kind: 'undecided', findings: [answer.finding] };
  const channel = identity.channel(bank, answer.publicKey);
  if (!channel) return undecided(basis, 'node.answer', 'the agent did not say which key its quote binds');
  const request = { nonce, bank, pcrs, akPublic: identity.akPublic, channel };
  const quote = readQuote(answer.quote, request);
  const shown = {
    boot: bootEvidence(answer, known.boot),
    ima: answer.ima && readMeasurementList(answer.ima, known.list?.position),
  };
  const { list } = known;
  const history = { ...(node.clock ? { clock: node.clock } : {}), ...(list ? { ima: list.state } : {}) };
  const knowledge = { ...options.policies.knowledge(), ...assigned.memos };
  const proof = { quote, boot: shown.boot, ...(shown.ima ? { ima: shown.ima } : {}) };
  const verdict = (options.appraise ?? appraise)(policy, proof, history, knowledge);
  const boot = await keptLogs(options, node.record.id, shown.boot);
  const evidence = storedEvidence(answer.quote, request, node.record.akPublic, {
    ...(answer.ima ? { ima: answer.ima } : {}),
    ...(boot ? { boot } : {}),
    ...(basis.policy ? { policy: basis.policy } : {}),
    ...{ history, whole },
  });
  const { passes: passNumber } = node;
  return judge(basis, assigned, verdict, { evidence, passNumber, wanted: whole, boot, ima: shown.ima });
}

function requestOf({ node, identity, assigned }: Asked, nonce: string, known: Known): EvidenceRequest {
  const { policy, mask } = assigned;
  const { apiVersion, protocol } = node.record;
  return {
    ...{ nonce, mask, apiVersion },
    // One from before the protocol was recorded may be of either kind.
    protocol: protocol ?? 'keylime',
    reportKey: identity.binding === 'reported-key',
    // Whatever the policy says: people look at them, and draft policies from them.
    boot: known.boot,
    ...(policy.ima ? { imaFrom: known.list?.position ?? { entries: 0, bytes: 0 } } : {}),
  };
}

/** Evidence names only logs that are kept. */
async function keptLogs(
  { keepLogs }: PollerOptions,
  nodeId: string,
  boot: BootEvidence,
): Promise<KnownLogs | undefined> {
  const logs = [boot.firmware, boot.userspace].filter((log) => log !== undefined);
  return logs.length > 0 && (await keepLogs(nodeId, logs)) ? knownLogs(boot) : undefined;
}

const OF_PARTS = new Set(['ima.prefix', 'ima.bytes', 'log.again']);

/** The node began a new list or has other logs, or shows another part than was asked for: all of it is looked at. */
function lacksParts(judgement: Judgement): boolean {
  return judgement.kind !== 'extend' && judgement.findings.some(({ rule }) => OF_PARTS.has(rule));
}

/** What goes into a judgement besides the verdict. */
interface Shown {
  readonly evidence: StoredEvidence;
  readonly passNumber: number;
  readonly wanted: boolean;
  readonly boot: KnownLogs | undefined;
  readonly ima: ShownList | BrokenList | undefined;
}

function judge(basis: Basis, assigned: AssignedPolicy, verdict: Verdict, shown: Shown): Judgement {
  const { policy } = assigned;
  if (verdict.outcome === 'inconclusive') return { ...basis, kind: 'undecided', findings: verdict.findings };
  const { findings } = verdict;
  const { evidence, passNumber, wanted } = shown;
  const boot = shown.boot ? { boot: shown.boot } : {};
  if (verdict.outcome === 'fail') {
    const effect = effectOf(verdict, policy.reaction);
    // The clock of evidence that is not sound is not the node's.
    const clock = verdict.byPolicy ? verdict.clock : undefined;
    if (effect !== 'report') {
      return { ...basis, kind: 'fail', findings, effect, evidence, ...(clock ? { clock } : {}) };
    }
    if (!clock) throw new TypeError('a policy that reports judged evidence without a clock');
    const reported = {
      outcome: 'fail',
      findings,
      clock,
      evidence,
      rebooted: false,
      resumed: false,
      passNumber,
      wanted,
    } as const;
    return extension(basis, policy, { ...reported, ...boot });
  }
  const { clock, rebooted, resumed } = verdict;
  const ima =
    verdict.ima && shown.ima && 'list' in shown.ima
      ? { ima: imaProgress(verdict.ima, shown.ima, assigned) }
      : {};
  const passed = {
    outcome: 'pass',
    findings,
    clock,
    rebooted,
    resumed,
    evidence,
    passNumber,
    wanted,
  } as const;
  return extension(basis, policy, { ...passed, ...boot, ...ima });
}

type Found = Omit<Extension, keyof Basis | 'kind' | 'trustForMs'>;

function extension(basis: Basis, policy: AssignedPolicy['policy'], found: Found): Extension {
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
