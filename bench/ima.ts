import { hash } from 'node:crypto';
import { concat } from '../core/bytes/writer.ts';
import { parseImaAscii } from '../core/ima/ascii.ts';
import { parseImaList } from '../core/ima/binary.ts';
import { ImaEntryMemo, type ImaState, imaStart, replayIma } from '../core/ima/replay.ts';
import { DigestSetBuilder } from '../policies/digests/build.ts';
import { DigestSet } from '../policies/digests/digest-set.ts';
import type { ImaPolicy } from '../policies/ima-policy.ts';
import { evaluateImaEntries } from '../policies/rules/ima-entries.ts';
import { cpuMicroseconds, median } from './measure.ts';

/** A first look at a list: parsed, each template hash recomputed, extended to the quoted PCR 10, each file looked up, learned. */
export interface FirstSight {
  readonly entries: number;
  readonly digests: number;
  readonly entriesPerSecond: number;
  /** The same bytes through node:crypto's SHA-1 and SHA-256 twice, as the work needs at least: entries a second. */
  readonly hashingPerSecond: number;
}

/** A list of entries that other nodes have shown, as the first look at a node that is new. */
export interface SeenBefore {
  /** How it differs from the list that was seen. */
  readonly order: string;
  readonly entries: number;
  readonly entriesPerSecond: number;
  readonly hashingPerSecond: number;
}

export interface ImaBench {
  readonly load: readonly {
    readonly digests: number;
    readonly milliseconds: number;
    readonly mebibytes: number;
  }[];
  readonly firstSight: readonly FirstSight[];
  readonly seenBefore: readonly SeenBefore[];
  /** A poll with 20 new entries behind many known ones, as text: microseconds of CPU. */
  readonly incrementalMicroseconds: number;
}

const NEW_ENTRIES = 20;
const WARM_UP_MS = 1000;

export function benchIma(sizes: readonly number[], digests: readonly number[], rounds: number): ImaBench {
  const sets = digests.map((count) => ({ count, bytes: setBytes(count) }));
  const load = sets.map(({ count, bytes }) => ({
    digests: count,
    milliseconds: median(Array.from({ length: rounds }, () => timeMs(() => DigestSet.parse(bytes)))),
    mebibytes: bytes.length / 1024 / 1024,
  }));
  const largest = Math.max(...sizes);
  const firstSight = sizes.flatMap((entries) => {
    const list = binaryList(0, entries);
    return sets.map(({ count, bytes }) => firstSightOf(list, entries, count, DigestSet.parse(bytes), rounds));
  });
  const [, middle = digests[0] ?? 0] = digests;
  return {
    load,
    firstSight,
    seenBefore: seenBefore(largest, DigestSet.parse(setBytes(Math.max(middle, largest))), rounds),
    incrementalMicroseconds: incremental(largest, DigestSet.parse(setBytes(largest)), rounds),
  };
}

function firstSightOf(
  { bytes, pcr }: MeasuredList,
  entries: number,
  digests: number,
  set: DigestSet,
  rounds: number,
): FirstSight {
  const policy = policyWith(set);
  // Of a set with fewer files than the list has, the rest is refused, which costs more.
  const allowed = Math.min(entries, digests);
  const memo = ImaEntryMemo.create();
  const look = () => {
    memo?.forget();
    judge({ bytes, pcr }, policy, allowed, memo);
  };
  const rates = besideHashing(look, bytes, entries, rounds);
  return { entries, digests, ...rates };
}

/** One node filled the memo; what another one shows is known, whatever its order. */
function seenBefore(count: number, set: DigestSet, rounds: number): readonly SeenBefore[] {
  const all = Array.from({ length: count }, (_, index) => entryOf(index));
  const policy = policyWith(set);
  const memo = ImaEntryMemo.create();
  judge(listOf(interleaved(all, 1)), policy, count, memo);
  const [head, ...rest] = interleaved(all, 1);
  return Object.entries({
    'the same': interleaved(all, 1),
    'the same behind another firmware': head ? [...rest.slice(-1), ...rest.slice(0, -1), head] : [],
    'services started in another order': interleaved(all, 2),
    'any order': shuffled(all),
  }).map(([order, entries]) => {
    const list = listOf(entries);
    const look = () => judge(list, policy, count, memo);
    return { order, entries: count, ...besideHashing(look, list.bytes, count, rounds) };
  });
}

function judge(
  { bytes, pcr }: Pick<MeasuredList, 'bytes' | 'pcr'>,
  policy: ImaPolicy,
  allowed: number,
  memo?: ImaEntryMemo,
): void {
  const list = parseImaList(bytes);
  const quoted = new Map([['sha256' as const, pcr]]);
  const { covered, recall } = replayIma(list, imaStart(['sha256']), quoted, 'template-hash', memo);
  if (covered !== list.length) throw new Error(`${covered} of ${list.length} entries are covered`);
  const { counts, fresh } = evaluateImaEntries({ policy, list, from: 0, to: covered, taken: recall?.marks });
  if (counts.allowed !== allowed) throw new Error(`${counts.allowed} entries were allowed`);
  if (recall && counts.refused === 0) memo?.learn(list, recall, fresh);
}

function besideHashing(look: () => void, bytes: Uint8Array, entries: number, rounds: number) {
  const hashes = () => rawHashes(bytes, entries);
  const pairs = Array.from({ length: rounds }, () => ({
    own: cpuMicroseconds(look),
    raw: cpuMicroseconds(hashes),
  }));
  return {
    entriesPerSecond: (entries * 1e6) / median(pairs.map(({ own }) => own)),
    hashingPerSecond: (entries * 1e6) / median(pairs.map(({ raw }) => raw)),
  };
}

const STREAMS = 8;
const LONGEST_RUN = 20;

/** Eight services that start at once: each measures its files in its order, and they take turns. */
function interleaved<T>(all: readonly T[], seed: number): T[] {
  const random = randomFrom(seed);
  const size = Math.ceil(all.length / STREAMS);
  const streams = Array.from({ length: STREAMS }, (_, index) => all.slice(index * size, (index + 1) * size));
  const merged: T[] = [];
  while (merged.length < all.length) {
    const stream = streams[Math.floor(random() * STREAMS)] ?? [];
    merged.push(...stream.splice(0, 1 + Math.floor(random() * LONGEST_RUN)));
  }
  return merged;
}

function shuffled<T>(all: readonly T[]): T[] {
  const random = randomFrom(3);
  return all
    .map((one) => ({ one, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ one }) => one);
}

/** The same numbers at each run (Park and Miller). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 0x7fffffff;
    return state / 0x7fffffff;
  };
}

function incremental(known: number, set: DigestSet, rounds: number): number {
  const { pcr } = binaryList(0, known);
  const before: ImaState = { entries: known, pcrs: new Map([['sha256', pcr]]) };
  // Files that the set knows: those that were used before.
  const { text, pcr: after } = binaryList(0, NEW_ENTRIES, pcr);
  const quoted = new Map([['sha256' as const, after]]);
  const bytes = Buffer.from(text);
  const poll = () => {
    const list = parseImaAscii(new Uint8Array(bytes));
    const { covered } = replayIma(list, before, quoted);
    const { counts } = evaluateImaEntries({ policy: policyWith(set), list, from: 0, to: covered ?? 0 });
    if (counts.allowed !== NEW_ENTRIES) throw new Error('a new entry was not allowed');
  };
  // Unmeasured: code is compiled for a while.
  cpuMicroseconds(poll, WARM_UP_MS);
  return median(Array.from({ length: rounds }, () => cpuMicroseconds(poll)));
}

interface MeasuredList {
  readonly bytes: Uint8Array;
  readonly text: string;
  /** PCR 10 behind it. */
  readonly pcr: Uint8Array;
}

const pathOf = (index: number) => `/usr/lib/x86_64-linux-gnu/package-${index % 997}/file-${index}.so`;
const digestOf = (index: number) => hash('sha256', String(index), 'buffer');

interface Entry {
  readonly bytes: Uint8Array;
  readonly line: string;
  /** What PCR 10 is extended with. */
  readonly sha256: Uint8Array;
}

function entryOf(index: number): Entry {
  const digest = digestOf(index);
  const data = concat(
    field(concat(Buffer.from('sha256:\0'), digest)),
    field(Buffer.from(`${pathOf(index)}\0`)),
  );
  const sha1 = hash('sha1', data, 'buffer');
  return {
    bytes: concat(u32(10), sha1, field(Buffer.from('ima-ng')), field(data)),
    line: `10 ${sha1.toString('hex')} ima-ng sha256:${digest.toString('hex')} ${pathOf(index)}\n`,
    sha256: hash('sha256', data, 'buffer'),
  };
}

function listOf(entries: readonly Entry[], start: Uint8Array = new Uint8Array(32)): MeasuredList {
  const pcr = entries.reduce((before, { sha256 }) => hash('sha256', concat(before, sha256), 'buffer'), start);
  return {
    bytes: new Uint8Array(Buffer.concat(entries.map(({ bytes }) => bytes))),
    text: entries.map(({ line }) => line).join(''),
    pcr,
  };
}

function binaryList(from: number, count: number, start?: Uint8Array): MeasuredList {
  return listOf(
    Array.from({ length: count }, (_, index) => entryOf(from + index)),
    start,
  );
}

function rawHashes(bytes: Uint8Array, entries: number): void {
  const size = Math.floor(bytes.length / entries);
  for (let at = 0; at + size <= bytes.length; at += size) {
    const part = bytes.subarray(at, at + size);
    hash('sha1', part, 'hex');
    hash('sha256', part, 'hex');
    hash('sha256', part.subarray(0, 64), 'hex');
  }
}

function setBytes(count: number): Uint8Array {
  const builder = new DigestSetBuilder();
  for (let index = 0; index < count; index += 1) {
    builder.add({ path: Buffer.from(pathOf(index)), algorithm: 'sha256', digest: digestOf(index) });
  }
  return builder.build();
}

function policyWith(set: DigestSet): ImaPolicy {
  const nothing = {
    exclude: [],
    acceptedViolations: [],
    keys: [],
    buffers: new Map(),
    keyrings: new Map(),
    measuredPolicy: new Map(),
  };
  return { allow: [set], anyPath: false, kexec: false, ...nothing };
}

function field(content: Uint8Array): Uint8Array {
  return concat(u32(content.length), content);
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function timeMs(work: () => unknown): number {
  const started = performance.now();
  work();
  return performance.now() - started;
}
