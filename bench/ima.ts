import { hash } from 'node:crypto';
import { concat } from '../core/bytes/writer.ts';
import { parseImaAscii } from '../core/ima/ascii.ts';
import { parseImaList } from '../core/ima/binary.ts';
import { type ImaState, imaStart, replayIma } from '../core/ima/replay.ts';
import { DigestSetBuilder } from '../policies/digests/build.ts';
import { DigestSet } from '../policies/digests/digest-set.ts';
import type { ImaPolicy } from '../policies/ima-policy.ts';
import { evaluateImaEntries } from '../policies/rules/ima-entries.ts';
import { cpuMicroseconds, median } from './measure.ts';

/** A first look at a list: parsed, each template hash recomputed, extended to the quoted PCR 10, each file looked up. */
export interface FirstSight {
  readonly entries: number;
  readonly digests: number;
  readonly entriesPerSecond: number;
  /** The same bytes through node:crypto's SHA-1 and SHA-256 twice, as the work needs at least: entries a second. */
  readonly hashingPerSecond: number;
}

export interface ImaBench {
  readonly load: readonly {
    readonly digests: number;
    readonly milliseconds: number;
    readonly mebibytes: number;
  }[];
  readonly firstSight: readonly FirstSight[];
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
  return {
    load,
    firstSight,
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
  const quoted = new Map([['sha256' as const, pcr]]);
  const look = () => {
    const list = parseImaList(bytes);
    const { covered } = replayIma(list, imaStart(['sha256']), quoted);
    if (covered !== entries) throw new Error(`${covered} of ${entries} entries are covered`);
    const { counts } = evaluateImaEntries({ policy: policyWith(set), list, from: 0, to: covered });
    // Of a set with fewer files than the list has, the rest is refused, which costs more.
    if (counts.allowed !== Math.min(entries, digests))
      throw new Error(`${counts.allowed} entries were allowed`);
  };
  const hashes = () => rawHashes(bytes, entries);
  const pairs = Array.from({ length: rounds }, () => ({
    own: cpuMicroseconds(look),
    raw: cpuMicroseconds(hashes),
  }));
  return {
    entries,
    digests,
    entriesPerSecond: (entries * 1e6) / median(pairs.map(({ own }) => own)),
    hashingPerSecond: (entries * 1e6) / median(pairs.map(({ raw }) => raw)),
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

function binaryList(from: number, count: number, start: Uint8Array = new Uint8Array(32)): MeasuredList {
  let pcr: Uint8Array = start;
  const parts: Uint8Array[] = [];
  const lines: string[] = [];
  for (let index = from; index < from + count; index += 1) {
    const digest = digestOf(index);
    const data = concat(
      field(concat(Buffer.from('sha256:\0'), digest)),
      field(Buffer.from(`${pathOf(index)}\0`)),
    );
    const sha1 = hash('sha1', data, 'buffer');
    parts.push(u32(10), sha1, field(Buffer.from('ima-ng')), field(data));
    lines.push(`10 ${sha1.toString('hex')} ima-ng sha256:${digest.toString('hex')} ${pathOf(index)}\n`);
    pcr = hash('sha256', concat(pcr, hash('sha256', data, 'buffer')), 'buffer');
  }
  return { bytes: new Uint8Array(Buffer.concat(parts)), text: lines.join(''), pcr };
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
