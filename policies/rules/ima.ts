import { toHex } from '../../core/bytes/encoding.ts';
import type { Finding } from '../../core/finding.ts';
import { IMA_PCR } from '../../core/ima/binary.ts';
import { checkBootAggregate } from '../../core/ima/boot-aggregate.ts';
import { imaEntry } from '../../core/ima/entry.ts';
import { ImaKeyring } from '../../core/ima/key.ts';
import type { ImaList } from '../../core/ima/list.ts';
import { type ImaEntryMemo, type ImaState, imaStart, replayIma } from '../../core/ima/replay.ts';
import { type ImaSignatureMemo, verifyImaSignature } from '../../core/ima/verify.ts';
import type { VerifiedQuote } from '../../core/tpm/quote.ts';
import type { DigestSet } from '../digests/digest-set.ts';
import type { ImaKeyRule, ImaPolicy } from '../ima-policy.ts';
import { evaluateImaEntries, type ImaCounts, type SignedBy } from './ima-entries.ts';
import { type LearnedKey, learnKeys, rulesOfLearned } from './ima-keyrings.ts';
import { evaluateMeasuredPolicy } from './ima-measured-policy.ts';

/** A part of a node's measurement list as it came; nothing in it is proven. */
export interface ImaEvidence {
  readonly list: ImaList;
  /** Number of its first entry in the whole list of this boot. */
  readonly firstEntry: number;
}

/** How much of a list is proven and judged, and what is to be known of it when more comes. */
export interface JudgedList extends ImaState {
  /** How its entries were taken. */
  readonly counts?: ImaCounts;
  /** Keys of the keyrings that the policy follows. */
  readonly learned?: readonly LearnedKey[];
}

/** A list came that is none. */
export interface BrokenList {
  readonly problem: Finding;
}

export interface ImaInput {
  readonly policy: ImaPolicy;
  readonly quote: VerifiedQuote;
  /** Absent when none came. */
  readonly evidence: ImaEvidence | BrokenList | undefined;
  /** What was proven and judged before, in this boot and under this version of the policy. */
  readonly before: JudgedList | undefined;
  readonly known?: readonly DigestSet[];
  readonly memo?: ImaSignatureMemo;
  /** Entries that other nodes showed and that passed, under this version of the policy. */
  readonly entries?: ImaEntryMemo | undefined;
}

export interface ImaEvaluation {
  readonly findings: readonly Finding[];
  /** Why nothing can be said: what came does not join what is known. The whole list is to be asked for. */
  readonly undecided?: Finding;
  /** What is proven and judged now. Kept only when the whole verdict is a pass: else all is shown and judged again. */
  readonly state?: JudgedList;
}

/**
 * Judges a measurement list against the quoted PCR 10: the entries that the quote covers are the node's, in their
 * order and complete; those behind them wait for the next quote (rule `ima.prefix`).
 */
export function evaluateIma(input: ImaInput): ImaEvaluation {
  const { policy, quote, evidence, before, known, memo, entries } = input;
  const quoted = quote.pcrs.get(IMA_PCR);
  if (!quoted?.some((octet) => octet !== 0)) return { findings: [required(`PCR ${IMA_PCR} is untouched`)] };
  if (!evidence) return { findings: [required('the node sent no measurement list')] };
  if ('problem' in evidence) return { findings: [evidence.problem] };
  const { list, firstEntry } = evidence;
  const start = firstEntry === 0 ? imaStart([quote.bank]) : before;
  if (!start || start.entries !== firstEntry)
    return { findings: [], undecided: gap(firstEntry, start?.entries ?? 0) };
  const replay = replayIma(list, start, new Map([[quote.bank, quoted]]), 'template-hash', entries);
  if (replay.covered === undefined)
    return { findings: [noPrefix(list, firstEntry, replay.state, quote.bank, quoted)] };
  const lost = (before?.entries ?? 0) - replay.state.entries;
  if (lost > 0) return { findings: [shorter(replay.state.entries, before?.entries ?? 0)] };
  const learned = learnKeys(policy, list, replay.covered, (firstEntry > 0 && before?.learned) || []);
  const isSigned = signedBy(policy, learned, memo);
  const result = evaluateImaEntries({
    ...{ policy, list, firstEntry, from: 0, to: replay.covered, taken: replay.recall?.marks },
    ...(isSigned ? { isSigned } : {}),
    ...(known ? { known } : {}),
  });
  const wrong = replay.firstWrongHash === undefined ? [] : [wrongHash(firstEntry + replay.firstWrongHash)];
  const aggregates = evaluateAggregates(policy, quote, list, firstEntry, result.aggregates);
  const findings = [
    ...wrong,
    ...aggregates,
    ...evaluateMeasuredPolicy(policy, list, replay.covered, firstEntry),
    ...result.findings,
  ];
  // Of what is refused nothing is kept, or a node could fill the memo with inventions.
  if (findings.length === 0 && replay.recall) entries?.learn(list, replay.recall, result.fresh);
  return {
    findings,
    state: {
      ...replay.state,
      counts: sumOf(result.counts, firstEntry > 0 ? before?.counts : undefined),
      ...(learned.length > 0 ? { learned } : {}),
    },
  };
}

function sumOf(counts: ImaCounts, before: ImaCounts | undefined): ImaCounts {
  if (!before) return counts;
  return {
    allowed: counts.allowed + before.allowed,
    signed: counts.signed + before.signed,
    excluded: counts.excluded + before.excluded,
    buffers: counts.buffers + before.buffers,
    violations: counts.violations + before.violations,
    refused: counts.refused + before.refused,
  };
}

/** Rule `ima.aggregate`: the list is of this boot, whose PCRs are quoted; a second one says that kexec was used. */
function evaluateAggregates(
  { kexec }: ImaPolicy,
  { bank, pcrs }: VerifiedQuote,
  list: ImaList,
  firstEntry: number,
  indexes: readonly number[],
): Finding[] {
  const tell = (message: string, remedy?: string): Finding => ({
    ...{ rule: 'ima.aggregate', pcr: IMA_PCR, message },
    ...(remedy === undefined ? {} : { remedy }),
  });
  const missing = firstEntry === 0 && list.length > 0 && indexes[0] !== 0;
  const findings = missing ? [tell('the list does not begin with boot_aggregate: it is not of a boot')] : [];
  for (const index of indexes) {
    const entry = firstEntry + index;
    const { digest } = imaEntry(list, index);
    const result = checkBootAggregate(digest, new Map([[bank, pcrs]]));
    if (result.verdict === 'differs') {
      findings.push(
        tell(
          `boot_aggregate (entry ${entry}) is not the hash of the quoted PCR 0 to 9: the list is of another boot`,
        ),
      );
    } else if (result.verdict === 'unknown') {
      findings.push(
        tell(
          `boot_aggregate (entry ${entry}) cannot be compared with the quote: ${result.missing}`,
          `boot the node with ima_hash=${bank}`,
        ),
      );
    }
    if (entry > 0 && !kexec) {
      findings.push(
        tell(
          `a second boot_aggregate (entry ${entry}): another kernel was started by kexec, which the policy refuses`,
          'reboot the node; where it uses kexec by design, set ima.kexec: allow',
        ),
      );
    }
  }
  return findings;
}

/** Rule `ima.keys`: a signature counts for the paths that its key is scoped to, and for no others. */
function signedBy(
  policy: ImaPolicy,
  learned: readonly LearnedKey[],
  memo: ImaSignatureMemo | undefined,
): SignedBy | undefined {
  if (policy.keys.length + learned.length === 0) return undefined;
  // Most parts of a list need no signature: keys are read when the first one comes.
  let known: { readonly keys: readonly ImaKeyRule[]; readonly ring: ImaKeyring } | undefined;
  const read = () => {
    const keys = [...policy.keys, ...rulesOfLearned(policy, learned)];
    return { keys, ring: new ImaKeyring(keys.map(({ key }) => key)) };
  };
  return (list, index) => {
    known ??= read();
    const { keys, ring } = known;
    const entry = imaEntry(list, index);
    const result = verifyImaSignature(entry, ring, memo);
    if (result.verdict !== 'good') return false;
    const { fingerprint } = result.key;
    const rules = keys.filter(({ key }) => key.fingerprint === fingerprint);
    return rules.some(({ paths }) => paths.some((glob) => glob.matches(entry.name)));
  };
}

function required(what: string): Finding {
  return {
    rule: 'ima.required',
    pcr: IMA_PCR,
    message: `${what}, and the policy judges the files that the node uses`,
    remedy: 'boot the node with an IMA policy, such as ima_policy=tcb; see assay-agent check',
  };
}

function gap(first: number, known: number): Finding {
  const message = `the list begins at entry ${first}, entries up to ${known} are known: what is between them was not shown`;
  return { rule: 'ima.prefix', pcr: IMA_PCR, message };
}

function noPrefix(
  list: ImaList,
  first: number,
  { pcrs }: ImaState,
  bank: string,
  quoted: Uint8Array,
): Finding {
  const replayed = [...pcrs.values()].map(toHex).join();
  const message = `no prefix of the list (${list.length} entries from ${first}) gives the quoted PCR ${IMA_PCR} ${toHex(quoted)} of bank ${bank}; all of it gives ${replayed}: entries were changed, left out, or put in`;
  return { rule: 'ima.prefix', pcr: IMA_PCR, message };
}

function wrongHash(entry: number): Finding {
  const message = `entry ${entry} shows a template hash that is not that of its data: the list was changed`;
  return { rule: 'ima.bytes', pcr: IMA_PCR, message };
}

function shorter(now: number, before: number): Finding {
  const message = `the list has ${now} entries under this quote, it had ${before} before in the same boot`;
  return { rule: 'ima.prefix', pcr: IMA_PCR, message };
}
