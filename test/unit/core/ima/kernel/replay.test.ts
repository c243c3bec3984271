import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { concat } from '../../../../../core/bytes/writer.ts';
import { parseImaList } from '../../../../../core/ima/binary.ts';
import { imaKernel } from '../../../../../core/ima/kernel/kernel.ts';
import { CHUNK_BYTES, CHUNK_ENTRIES } from '../../../../../core/ima/kernel/layout.ts';
import { kernelModule } from '../../../../../core/ima/kernel/module.ts';
import { kernelReplay } from '../../../../../core/ima/kernel/replay.ts';
import type { ImaList } from '../../../../../core/ima/list.ts';
import { type ImaState, imaStart, replayIma } from '../../../../../core/ima/replay.ts';
import { replayImaPlain } from '../../../../../core/ima/replay-plain.ts';
import type { HashName } from '../../../../../core/tpm/constants.ts';
import { binaryList, boot, bootNames, entryBytes, field, u32le, unhex, utf8 } from '../vectors.ts';

type Quoted = ReadonlyMap<HashName, Uint8Array>;

const quotedAs = (value: Uint8Array): Quoted => new Map([['sha256', value]]);
const NEVER = quotedAs(new Uint8Array(32).fill(0x42));

/** One kind of thing that a list can have in it. */
interface Item {
  readonly kind: 'plain' | 'wrong' | 'violation' | 'legacy';
  readonly sizeBytes: number;
  readonly seed: number;
}

function bytesFrom(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (Math.imul(seed + i, 0x9e3779b1) >>> 13) & 0xff);
}

/** An entry whose template data has `sizeBytes` bytes, at least those of an empty name. */
function itemBytes({ kind, sizeBytes, seed }: Item): Uint8Array {
  if (kind === 'legacy') return legacyBytes(seed, sizeBytes % 256);
  const name = field(utf8('n\0'));
  const data = concat(name, field(bytesFrom(seed, Math.max(sizeBytes - name.length - 4, 0))));
  const hash = new Uint8Array(createHash('sha1').update(data).digest());
  if (kind === 'violation') hash.fill(0);
  if (kind === 'wrong') hash[seed % 20] = (hash[seed % 20] ?? 0) ^ (1 << (seed % 8));
  return entryBytes({ template: 'n-ng|buf', data, hash });
}

function legacyBytes(seed: number, nameBytes: number): Uint8Array {
  const digest = bytesFrom(seed, 20);
  const name = new Uint8Array(nameBytes).fill(0x61);
  const padded = concat(digest, name, new Uint8Array(256 - nameBytes));
  const hash = createHash('sha1').update(padded).digest();
  return concat(u32le(10), hash, field(utf8('ima')), digest, field(name));
}

function same(list: ImaList, from: ImaState, quoted: Quoted) {
  const expected = replayImaPlain(list, from, quoted);
  expect(kernelReplay(list, from, quoted, 'template-hash')).toEqual(expected);
  return expected;
}

/** The quote that covers `count` entries. */
function quoteOf(list: ImaList, from: ImaState, count: number): Quoted {
  const bytes = list.bytes.subarray(0, list.columns.start[count]);
  return quotedAs(
    replayImaPlain(parseImaList(bytes), from, NEVER).state.pcrs.get('sha256') ?? new Uint8Array(),
  );
}

const kind = fc.constantFrom<Item['kind'][]>(
  'plain',
  'plain',
  'plain',
  'plain',
  'wrong',
  'violation',
  'legacy',
);
const item = fc.record({
  kind,
  // Around every number of blocks, and beyond what the kernel takes.
  sizeBytes: fc.oneof(
    fc.integer({ min: 10, max: 700 }),
    fc.constantFrom(55, 56, 119, 120, 247, 248, 503, 504),
  ),
  seed: fc.nat(1_000_000),
});

describe('the kernel and its twin answer alike', () => {
  beforeAll(() => expect(imaKernel()).toBeDefined());

  for (const name of bootNames.filter((each) => boot(each).pcrs.sha256 !== undefined)) {
    test(`${name}`, () => {
      const quoted = quotedAs(unhex(boot(name).pcrs.sha256?.['10'] ?? ''));
      const list = parseImaList(binaryList(name));
      expect(same(list, imaStart(['sha256']), quoted).covered).toBe(list.length);
      same(list, imaStart(['sha256']), NEVER);
    });
  }

  test('lists of any entries, from any state, with a quote of any number of them or none', () => {
    fc.assert(
      fc.property(
        fc.array(item, { minLength: 8, maxLength: 120 }),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat(120),
        fc.boolean(),
        (items, pcr, cut, covers) => {
          const list = parseImaList(concat(...items.map(itemBytes)));
          const from = { entries: cut, pcrs: quotedAs(pcr) };
          const count = Math.min(cut, list.length);
          const { covered } = same(list, from, covers ? quoteOf(list, from, count) : NEVER);
          expect(covered).toBe(covers ? count : undefined);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('every length of template data up to ten blocks', () => {
    const items = Array.from(
      { length: 640 },
      (_, i) => ({ kind: 'plain', sizeBytes: 10 + i, seed: i }) as const,
    );
    const list = parseImaList(concat(...items.map(itemBytes)));
    expect(same(list, imaStart(['sha256']), NEVER)).toMatchObject({ wrongHashes: 0 });
  });

  test('lists longer than what the kernel takes at once, with quotes around the seams', () => {
    const items = Array.from({ length: 2 * CHUNK_ENTRIES + 3 }, (_, i) => ({
      kind: i % 97 === 5 ? ('wrong' as const) : ('plain' as const),
      sizeBytes: 60 + (i % 80),
      seed: i,
    }));
    const list = parseImaList(concat(...items.map(itemBytes)));
    for (const count of [
      CHUNK_ENTRIES - 1,
      CHUNK_ENTRIES,
      CHUNK_ENTRIES + 1,
      2 * CHUNK_ENTRIES,
      list.length,
    ]) {
      const from = imaStart(['sha256']);
      expect(same(list, from, quoteOf(list, from, count)).covered).toBe(count);
    }
  });

  test('entries so long that few fit at once, and one as long as there can be', () => {
    const sizes = [CHUNK_BYTES / 3, 1024 * 1024, 100, CHUNK_BYTES / 2, 400_000, 500_000].map(Math.floor);
    const items = Array.from(
      { length: 36 },
      (_, i) => ({ kind: 'plain', sizeBytes: sizes[i % 36] ?? 90, seed: i }) as const,
    );
    const list = parseImaList(concat(...items.map(itemBytes)));
    same(list, imaStart(['sha256']), quoteOf(list, imaStart(['sha256']), 30));
  });

  test('wrong template hashes behind the quote do not count', () => {
    const items = Array.from(
      { length: 60 },
      (_, i) => ({ kind: i < 50 ? 'plain' : 'wrong', sizeBytes: 90, seed: i }) as const,
    );
    const list = parseImaList(concat(...items.map(itemBytes)));
    const quoted = quoteOf(list, imaStart(['sha256']), 50);
    expect(same(list, imaStart(['sha256']), quoted)).toMatchObject({ covered: 50, wrongHashes: 0 });
    expect(same(list, imaStart(['sha256']), NEVER)).toMatchObject({ wrongHashes: 10, firstWrongHash: 50 });
  });

  test('other banks, several banks and other rules are left to the twin, and so are short lists', () => {
    const list = parseImaList(binaryList('direct-clean-1'));
    const { pcrs } = boot('direct-clean-1');
    const both = new Map([
      ['sha1', unhex(pcrs.sha1?.['10'] ?? '')],
      ['sha256', unhex(pcrs.sha256?.['10'] ?? '')],
    ] as const);
    const sha1 = new Map([['sha1', unhex(pcrs.sha1?.['10'] ?? '')]] as const);
    const padded = replayImaPlain(list, imaStart(['sha256']), NEVER, 'padded-sha1').state.pcrs;
    const short = parseImaList(list.bytes.subarray(0, list.columns.start[7]));
    const start = imaStart(['sha256']);
    for (const [left, from, quoted, rule] of [
      [list, imaStart(both.keys()), both, 'template-hash'],
      [list, imaStart(['sha1']), sha1, 'template-hash'],
      [list, start, padded, 'padded-sha1'],
      [{ ...list, hash: 'sha256' as const }, start, NEVER, 'template-hash'],
      [short, start, quoteOf(short, start, 7), 'template-hash'],
    ] as const) {
      expect(kernelReplay(left, from, quoted, rule)).toBeUndefined();
      expect(replayIma(left, from, quoted, rule).covered).toBe(quoted === NEVER ? undefined : left.length);
    }
    expect(() => replayIma(list, imaStart(['sha256']), quotedAs(new Uint8Array(20)))).toThrow(RangeError);
  });
});

test('the module is the same at each making', () => {
  expect(Buffer.compare(kernelModule(), kernelModule())).toBe(0);
  expect(kernelModule().length).toBeLessThan(64 * 1024);
});
