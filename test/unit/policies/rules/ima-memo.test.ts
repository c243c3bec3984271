import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat } from '../../../../core/bytes/writer.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import { aggregateOf } from '../../../../core/ima/boot-aggregate.ts';
import { MEMO_ENTRIES, MEMO_PROBES, MEMO_SLOTS } from '../../../../core/ima/kernel/layout.ts';
import { ImaEntryMemo, imaStart, replayIma } from '../../../../core/ima/replay.ts';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import { DigestSet } from '../../../../policies/digests/digest-set.ts';
import type { ImaPolicy } from '../../../../policies/ima-policy.ts';
import { compileGlob } from '../../../../policies/path-glob.ts';
import { evaluateIma, type ImaEvaluation } from '../../../../policies/rules/ima.ts';
import { digestNg, entryBytes, field, u32le, utf8 } from '../../core/ima/vectors.ts';
import { quoteOf } from '../boot/boots.ts';

type Kind =
  | 'good'
  | 'signed'
  | 'excluded'
  | 'buffer'
  | 'legacy'
  | 'long'
  | 'accepted'
  | 'aggregate'
  | BadKind;
type BadKind = 'unknown' | 'wrong-hash' | 'violation' | 'other-path';

interface Item {
  readonly kind: Kind;
  readonly file: number;
}

const FILES = 12;
const BOOT_PCRS = new Map(Array.from({ length: 10 }, (_, pcr) => [pcr, new Uint8Array(32).fill(pcr + 1)]));
const NEVER = new Map([['sha256', new Uint8Array(32).fill(0x42)]] as const);

const sha = (algorithm: string, data: Uint8Array) =>
  new Uint8Array(createHash(algorithm).update(data).digest());
const pathOf = (file: number) => `/usr/bin/file-${file}${'x'.repeat(7 * file)}`;
const digestOf = (file: number) => sha('sha256', utf8(`file ${file}`));
const named = (digest: Uint8Array, path: string, ...more: readonly Uint8Array[]) =>
  concat(...[digestNg('sha256', digest), utf8(`${path}\0`), ...more].map(field));

/** An entry whose template hash fits. */
function entry(template: string, data: Uint8Array): Uint8Array {
  return entryBytes({ template, data, hash: sha('sha1', data) });
}

function bytesOf({ kind, file }: Item): Uint8Array {
  const good = named(digestOf(file), pathOf(file));
  switch (kind) {
    case 'good':
      return entry('ima-ng', good);
    case 'signed':
      // Whatever stands there: the digest is allowed.
      return entry('ima-sig', named(digestOf(file), pathOf(file), new Uint8Array(70).fill(file)));
    case 'long':
      return entry('ima-sig', named(digestOf(file), pathOf(file), new Uint8Array(600 + 900 * file)));
    case 'excluded':
      return entry('ima-ng', named(sha('sha256', utf8(`any ${file}`)), `/var/tmp/x/${file}`));
    case 'buffer':
      return entry('ima-buf', named(sha('sha256', utf8('on')), 'kexec-cmdline', utf8('on')));
    case 'legacy':
      return legacy(file);
    case 'accepted':
      return entryBytes({
        template: 'ima-ng',
        data: named(new Uint8Array(32), `/var/log/${file}`),
        hash: new Uint8Array(20),
      });
    case 'violation':
      return entryBytes({ template: 'ima-ng', data: good, hash: new Uint8Array(20) });
    case 'aggregate':
      return entry(
        'ima-ng',
        named(aggregateOf('sha256', BOOT_PCRS, 9) ?? new Uint8Array(), 'boot_aggregate'),
      );
    case 'unknown':
      return entry('ima-ng', named(sha('sha256', utf8(`unknown ${file}`)), pathOf(file)));
    case 'other-path':
      return entry('ima-ng', named(digestOf(file), pathOf(file + 1)));
    case 'wrong-hash':
      return entryBytes({
        template: 'ima-ng',
        data: good,
        hash: sha('sha1', utf8(`wrong ${file}`)),
      });
  }
}

function legacy(file: number): Uint8Array {
  const digest = sha('sha1', utf8(`file ${file}`));
  const name = utf8('/usr/bin/old');
  const padded = concat(digest, name, new Uint8Array(256 - name.length));
  return concat(u32le(10), sha('sha1', padded), field(utf8('ima')), digest, field(name));
}

function policy(): ImaPolicy {
  const builder = new DigestSetBuilder();
  for (let file = 0; file < FILES; file += 1)
    builder.add({ path: utf8(pathOf(file)), algorithm: 'sha256', digest: digestOf(file) });
  return {
    allow: [DigestSet.parse(builder.build())],
    anyPath: false,
    exclude: [compileGlob('/var/tmp/**'), compileGlob('/usr/bin/old')],
    acceptedViolations: [compileGlob('/var/log/*')],
    keys: [],
    kexec: true,
    buffers: new Map([['kexec-cmdline', 'any']]),
    keyrings: new Map(),
    measuredPolicy: new Map(),
  };
}

const POLICY = policy();
const HEAD: Item = { kind: 'aggregate', file: 0 };

/** @param behind how many entries came after the quote; undefined: the quote is of another list */
function judge(bytes: Uint8Array, behind: number | undefined, entries?: ImaEntryMemo): ImaEvaluation {
  const list = parseImaList(bytes);
  const covered = parseImaList(bytes.subarray(0, list.columns.start[list.length - (behind ?? 0)]));
  const { pcrs } = replayIma(covered, imaStart(['sha256']), NEVER).state;
  const quoted = behind === undefined ? NEVER : pcrs;
  const quote = quoteOf(new Map([...BOOT_PCRS, [10, quoted.get('sha256') ?? new Uint8Array()]]));
  if (!quote.ok) throw new Error('the quote was refused');
  return evaluateIma({
    ...{ policy: POLICY, quote: quote.quote, before: undefined, entries },
    evidence: { list, firstEntry: 0 },
  });
}

const file = fc.nat(FILES - 2);
const goodKinds = [
  'good',
  'signed',
  'excluded',
  'buffer',
  'legacy',
  'long',
  'accepted',
  'aggregate',
] as const;
const good = fc.record({ kind: fc.constantFrom<Kind>('good', 'good', 'good', ...goodKinds), file });
const bad = fc.record({
  kind: fc.constantFrom<Kind>('unknown', 'wrong-hash', 'violation', 'other-path'),
  file,
});
const goodList = fc.array(good, { minLength: 8, maxLength: 40 });
const anyList = fc.oneof(
  goodList,
  fc.array(fc.oneof({ weight: 8, arbitrary: good }, { weight: 1, arbitrary: bad }), {
    minLength: 8,
    maxLength: 40,
  }),
);
const shown = fc.record({ items: anyList, behind: fc.option(fc.nat(8), { nil: undefined }) });

function createMemo(): ImaEntryMemo {
  const memo = ImaEntryMemo.create();
  if (!memo) throw new Error('this machine has no vector instructions');
  return memo;
}

const bytesOfAll = (items: readonly Item[]) => concat(...[HEAD, ...items].map(bytesOf));

describe('entries that other nodes showed', () => {
  test('verdict and state are the same with the memo and without it, whatever came before', () => {
    const memo = createMemo();
    fc.assert(
      fc.property(fc.array(shown, { minLength: 1, maxLength: 6 }), (lists) => {
        for (const { items, behind } of lists) {
          const bytes = bytesOfAll(items);
          expect(judge(bytes, behind, memo)).toEqual(judge(bytes, behind));
        }
      }),
      { numRuns: 60 },
    );
    expect(memo.size).toBeGreaterThan(4 * FILES);
  });

  test('a list with one byte changed is judged as without the memo', () => {
    fc.assert(
      fc.property(goodList, fc.nat(), fc.integer({ min: 1, max: 255 }), (items, place, change) => {
        const memo = createMemo();
        const bytes = bytesOfAll(items);
        judge(bytes, 0, memo);
        expect(memo.size).toBeGreaterThan(0);
        const changed = Uint8Array.from(bytes);
        changed[place % bytes.length] = (changed[place % bytes.length] ?? 0) ^ change;
        // What does not parse is never judged.
        if (!parses(changed)) return;
        for (const behind of [0, undefined])
          expect(judge(changed, behind, memo)).toEqual(judge(changed, behind));
      }),
      { numRuns: 40 },
    );
  });

  test('an entry that is known is neither hashed nor judged again, in whatever order it comes', () => {
    const memo = createMemo();
    const items = Array.from({ length: 11 }, (_, index): Item => ({ kind: 'good', file: index }));
    judge(bytesOfAll(items), 0, memo);
    expect(memo.size).toBe(items.length);
    const list = parseImaList(bytesOfAll([...items].reverse()));
    const marks = replayIma(list, imaStart(['sha256']), NEVER, 'template-hash', memo).recall?.marks;
    // More than its bytes decides on boot_aggregate.
    expect([...(marks ?? [])]).toEqual([0, ...items.map(() => 1)]);
  });

  test.each(['unknown', 'wrong-hash', 'violation', 'other-path'] as const)(
    'of a list that is refused (%s) nothing is kept',
    (kind) => {
      const memo = createMemo();
      const items = Array.from({ length: 11 }, (_, index): Item => ({ kind: 'good', file: index }));
      expect(judge(bytesOfAll([...items, { kind, file: 3 }]), 0, memo).findings).not.toEqual([]);
      expect(memo.size).toBe(0);
    },
  );

  test('what the quote does not cover is not kept', () => {
    const memo = createMemo();
    const items = Array.from({ length: 11 }, (_, index): Item => ({ kind: 'good', file: index }));
    expect(judge(bytesOfAll(items), 4, memo).findings).toEqual([]);
    expect(memo.size).toBe(7);
  });
});

describe('a memo that nodes fill', () => {
  /** An entry of our making: only its template hash says where it goes. */
  const crafted = (first: number, number: number): Uint8Array => {
    const hash = concat(u32le(first), u32le(number), new Uint8Array(12).fill(1));
    return entryBytes({ template: 'n-ng', data: field(utf8('n\0')), hash });
  };
  const learn = (memo: ImaEntryMemo, entries: readonly Uint8Array[]) => {
    const list = parseImaList(concat(...entries));
    const digests = new Int32Array(8 * entries.length);
    memo.learn(list, { marks: new Uint8Array(), digests }, new Uint8Array(entries.length).fill(1));
  };

  test('entries that all go to one place take a few places, and others are still found', () => {
    const memo = createMemo();
    const crowd = Array.from({ length: 100 }, (_, index) => crafted(5 + MEMO_SLOTS * (index % 7), index));
    learn(memo, crowd);
    expect(memo.size).toBe(MEMO_PROBES);
  });

  test('full, it forgets and goes on, in the memory that it has', () => {
    const memo = createMemo();
    const { length } = memo.kernel.bytes;
    const many = Array.from({ length: 2 ** 16 }, (_, index) => index);
    for (let round = 0; round * many.length <= MEMO_ENTRIES; round += 1)
      learn(
        memo,
        many.map((index) => crafted((round * many.length + index) * 2, round)),
      );
    expect(memo.size).toBeLessThan(MEMO_ENTRIES);
    expect(memo.kernel.bytes.length).toBe(length);
    const items = Array.from({ length: 11 }, (_, index): Item => ({ kind: 'good', file: index }));
    const bytes = bytesOfAll(items);
    expect(judge(bytes, 0, memo)).toEqual(judge(bytes, 0));
    expect(judge(bytes, 0, memo)).toEqual(judge(bytes, 0));
  });

  // Records of before the memo was full lie behind those of now, and a node chose their bytes.
  test('nothing is read of what was forgotten', () => {
    const memo = createMemo();
    const bytes = bytesOfAll(Array.from({ length: 11 }, (_, index): Item => ({ kind: 'good', file: index })));
    judge(bytes, 0, memo);
    memo.kernel.table.fill(0);
    const list = parseImaList(bytes);
    const marks = () =>
      replayIma(list, imaStart(['sha256']), NEVER, 'template-hash', memo).recall?.marks.some(Boolean);
    expect(marks()).toBe(true);
    memo.forget();
    expect(marks()).toBe(false);
  });
});

function parses(bytes: Uint8Array): boolean {
  try {
    parseImaList(bytes);
    return true;
  } catch {
    return false;
  }
}
