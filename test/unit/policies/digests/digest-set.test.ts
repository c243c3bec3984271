import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import {
  DIGESTS,
  type DigestEntry,
  type DigestName,
  type FileDigestName,
  isFileDigestName,
  type PackageRef,
} from '../../../../policies/digests/digest-entry.ts';
import { DigestSet } from '../../../../policies/digests/digest-set.ts';
import { IMAGES_FORM } from '../../../../policies/digests/layout.ts';

const CURL: PackageRef = { name: 'curl', version: '8.5.0-1', arch: 'amd64' };

describe('a digest set', () => {
  test('ima.digest: allows the bytes at their path, with their algorithm, and nothing else', () => {
    const set = setOf(entry('/usr/bin/curl', 'curl 8.5'), entry('/usr/bin/date', 'date'));
    expect(allows(set, '/usr/bin/curl', 'curl 8.5')).toBe(true);
    expect(allows(set, '/usr/bin/curl', 'date')).toBe(false);
    expect(allows(set, '/usr/bin/date', 'curl 8.5')).toBe(false);
    expect(allows(set, '/usr/bin/cur', 'curl 8.5')).toBe(false);
    expect(allows(set, '/usr/bin/curl', 'curl 8.5', 'sha512')).toBe(false);
    expect(set.allows(path('/usr/bin/curl'), 'sha256', digestOf('curl 8.5').subarray(1))).toBe(false);
  });

  test('the same bytes at thousands of paths are each found, and one that is missing is not', () => {
    const names = Array.from({ length: 3000 }, (_, index) => `/srv/${String(index * 2).padStart(5, '0')}`);
    const set = setOf(...names.map((name) => entry(name, '')), entry('/zz', 'x'), entry('/aa', 'y'));
    for (const name of names) expect(allows(set, name, '')).toBe(true);
    for (const name of ['/srv/00001', '/srv/05999', '/aa', '/zz']) expect(allows(set, name, '')).toBe(false);
  });

  test('knows what it has for a path, with the packages', () => {
    const set = setOf(
      { ...entry('/usr/bin/curl', 'old'), package: { ...CURL, version: '8.5.0-0' } },
      { ...entry('/usr/bin/curl', 'new'), package: CURL },
      { ...entry('/usr/bin/curl', 'new', 'sha512'), package: CURL },
      entry('/usr/bin/other', 'new'),
    );
    const files = set.filesAt(path('/usr/bin/curl'));
    expect(files.map((file) => [file.algorithm, file.package?.version]).sort()).toEqual([
      ['sha256', '8.5.0-0'],
      ['sha256', '8.5.0-1'],
      ['sha512', '8.5.0-1'],
    ]);
    expect(set.filesAt(path('/usr/bin/other'))).toEqual([{ algorithm: 'sha256', digest: digestOf('new') }]);
    expect(set.filesAt(path('/usr/bin/none'))).toEqual([]);
    expect(set.packages).toEqual([{ ...CURL, version: '8.5.0-0' }, CURL]);
  });

  test('holds paths that are not text', () => {
    const odd = Uint8Array.of(0x2f, 0xff, 0xfe, 0x0a);
    const set = setOf({ path: odd, algorithm: 'sha256', digest: digestOf('x') });
    expect(set.allows(odd, 'sha256', digestOf('x'))).toBe(true);
    expect([...set.entries()].map((one) => [...one.path])).toEqual([[...odd]]);
  });

  test('an empty set allows nothing', () => {
    const set = setOf();
    expect(set.size).toBe(0);
    expect(allows(set, '/bin/sh', 'sh')).toBe(false);
    expect(set.filesAt(path('/bin/sh'))).toEqual([]);
  });

  test('lies anywhere in memory', () => {
    const bytes = build(entry('/a', 'a'), entry('/b', 'b', 'sha384'));
    const shifted = new Uint8Array(bytes.length + 1).subarray(1);
    shifted.set(bytes);
    expect(allows(DigestSet.parse(shifted), '/b', 'b', 'sha384')).toBe(true);
    expect(DigestSet.parse(shifted).id).toBe(DigestSet.parse(bytes).id);
  });
});

describe('digests of EFI images', () => {
  const image = entry('/boot/vmlinuz', 'kernel', 'authenticode-sha256');

  test('are known as images, and are no files', () => {
    const set = setOf(image, entry('/boot/vmlinuz', 'bytes'));
    expect(set.knows('authenticode-sha256', digestOf('kernel'))).toBe(true);
    expect(set.knows('sha256', digestOf('kernel'))).toBe(false);
    expect(allows(set, '/boot/vmlinuz', 'kernel')).toBe(false);
    expect(set.knows('authenticode-sha256', digestOf('bytes'))).toBe(false);
    expect(set.imageDigests).toBe(1);
    expect(set.size).toBe(2);
  });

  test('a set without any has the bytes that it always had', () => {
    const bytes = build(entry('/a', '1'));
    expect(Buffer.from(bytes).toString('latin1', 0, 8)).toBe('ASSAYDS1');
    expect(hash('sha256', bytes)).toBe('07b382ed2255636071bb8880aa5c34e63b38026935ad1f72b121aefec287225e');
  });

  test('a set that has room for them and none is refused: its content has another form', () => {
    const bytes = build(image, entry('/boot/vmlinuz', 'bytes'));
    expect(Buffer.from(bytes).toString('latin1', 0, 8)).toBe('ASSAYDS2');
    // Counts of entries are behind the magic and three numbers.
    const none = bytes.slice();
    none.fill(0, 8 + 4 * 6, 8 + 4 * 9);
    expect(() => DigestSet.parse(none)).toThrow('has room for digests of images, and none');
  });
});

describe('its id', () => {
  test('is of the content: neither order nor repetition changes it', () => {
    const entries = [entry('/a', '1'), { ...entry('/b', '2'), package: CURL }, entry('/b', '3', 'sha384')];
    const bytes = build(...entries);
    expect(build(...entries.toReversed(), ...entries)).toEqual(bytes);
    expect(DigestSet.parse(bytes).id).toBe(`sha256:${hash('sha256', bytes)}`);
  });

  test('a file of two packages is one entry, whichever came first', () => {
    const other = { ...CURL, name: 'abc' };
    const [one, two] = [CURL, other].map((from) => ({ ...entry('/usr/bin/curl', 'x'), package: from }));
    if (!one || !two) throw new Error('two entries');
    expect(build(one, two)).toEqual(build(two, one));
    expect(setOf(one, two).size).toBe(1);
  });

  test('another package or source is another content', () => {
    const plain = build(entry('/a', '1'));
    expect(build({ ...entry('/a', '1'), package: CURL })).not.toEqual(plain);
    const builder = new DigestSetBuilder();
    builder.add(entry('/a', '1'));
    builder.addSource({ kind: 'deb' });
    expect(builder.build()).not.toEqual(plain);
  });
});

describe('building refuses', () => {
  test.each([
    ['a relative path', { ...entry('/x', 'x'), path: path('usr/bin/x') }],
    ['an empty path', { ...entry('/x', 'x'), path: path('') }],
    ['a path with a zero byte', { ...entry('/x', 'x'), path: path('/x\0y') }],
    ['a path that is too long', { ...entry('/x', 'x'), path: path(`/${'x'.repeat(4096)}`) }],
    ['a digest of another length', { ...entry('/x', 'x'), digest: new Uint8Array(20) }],
  ])('%s', (_what, bad) => {
    expect(() => build(bad)).toThrow(/expected, not|has 32 bytes/);
  });
});

describe('reading refuses', () => {
  const good = build(entry('/a', '1'), entry('/b', '1'), { ...entry('/c', '3'), package: CURL });

  test('every prefix and any suffix', () => {
    for (let length = 0; length < good.length; length += 1) {
      expect(() => DigestSet.parse(good.slice(0, length))).toThrow(ParseError);
    }
    expect(() => DigestSet.parse(Uint8Array.of(...good, 0, 0, 0, 0))).toThrow(/its header says/);
  });

  test('what is out of order', () => {
    const two = build(entry('/a', '1'), entry('/a', '2'));
    const at = two.length - 2 * (32 + 4 + 4);
    const swapped = two.slice();
    swapped.set(two.subarray(at, at + 32), at + 32);
    swapped.set(two.subarray(at + 32, at + 64), at);
    expect(() => DigestSet.parse(swapped)).toThrow(/out of order/);
  });

  test('one entry twice', () => {
    const two = build(entry('/a', '1'), entry('/a', '2'));
    const at = two.length - 2 * (32 + 4 + 4);
    const twice = two.slice();
    twice.set(two.subarray(at, at + 32), at + 32);
    expect(() => DigestSet.parse(twice)).toThrow(/out of order/);
  });

  test('a path or package that there is not', () => {
    const changed = good.slice();
    changed.set([9, 0, 0, 0], good.length - 4);
    expect(() => DigestSet.parse(changed)).toThrow(/that there is not/);
  });

  test('any change: it throws ParseError or has another id', () => {
    const { id } = DigestSet.parse(good.slice());
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = good.slice();
        changed[at] = (changed[at] ?? 0) ^ flip;
        try {
          expect(DigestSet.parse(changed).id).not.toBe(id);
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

test('a set says of every path and digest what a plain map says', () => {
  const short = fc.stringMatching(/^\/[ab]{0,3}$/);
  const content = fc.constantFrom('0', '1', '2', '3');
  const { algorithms } = IMAGES_FORM;
  const algorithm = fc.constantFrom(...algorithms);
  fc.assert(
    fc.property(fc.array(fc.tuple(short, content, algorithm), { maxLength: 40 }), (rows) => {
      const set = setOf(...rows.map(([at, what, how]) => entry(at, what, how)));
      const known = new Set(rows.map((row) => row.join()));
      expect(set.size).toBe(known.size);
      for (const at of ['/', '/a', '/ab', '/b', '/bb', '/aaa', '/bab']) {
        for (const what of ['0', '1', '2', '3', '4']) {
          for (const how of algorithms) {
            const isKnown = known.has([at, what, how].join());
            if (isFileDigestName(how)) expect(allows(set, at, what, how)).toBe(isKnown);
            if (isKnown) expect(set.knows(how, digestOf(what, how))).toBe(true);
          }
        }
        const files = set
          .filesAt(path(at))
          .map((file) => `${file.algorithm} ${Buffer.from(file.digest).toString('hex')}`);
        const expected = rows
          .filter((row) => row[0] === at)
          .map((row) => `${row[2]} ${Buffer.from(digestOf(row[1], row[2])).toString('hex')}`);
        expect(files.sort()).toEqual([...new Set(expected)].sort());
      }
    }),
  );
});

function entry(at: string, content: string, algorithm: DigestName = 'sha256'): DigestEntry {
  return { path: path(at), algorithm, digest: digestOf(content, algorithm) };
}

function digestOf(content: string, algorithm: DigestName = 'sha256'): Uint8Array {
  const digest = new Uint8Array(hash(algorithm.replace('authenticode-', ''), content, 'buffer'));
  expect(digest.length).toBe(DIGESTS[algorithm]);
  return digest;
}

function path(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'utf8'));
}

function build(...entries: readonly DigestEntry[]): Uint8Array {
  const builder = new DigestSetBuilder();
  for (const one of entries) builder.add(one);
  return builder.build();
}

function setOf(...entries: readonly DigestEntry[]): DigestSet {
  return DigestSet.parse(build(...entries));
}

function allows(set: DigestSet, at: string, content: string, algorithm: FileDigestName = 'sha256'): boolean {
  return set.allows(path(at), algorithm, digestOf(content, algorithm));
}
