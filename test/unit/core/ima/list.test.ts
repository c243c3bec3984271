import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { printable, toHex } from '../../../../core/bytes/encoding.ts';
import { concat } from '../../../../core/bytes/writer.ts';
import { parseImaAscii } from '../../../../core/ima/ascii.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import { imaEntry } from '../../../../core/ima/entry.ts';
import type { ImaList } from '../../../../core/ima/list.ts';
import {
  asciiList,
  binaryList,
  boot,
  bootNames,
  digestNg,
  entryBytes,
  field,
  parseErrorOf,
  u32le,
  utf8,
} from './vectors.ts';

const DIGEST = new Uint8Array(32).fill(0x5a);
const SHA1 = new Uint8Array(20).fill(0x11);
const NAME = field(utf8('/usr/bin/env\0'));

const entry = (template: string, ...fields: readonly Uint8Array[]): Uint8Array =>
  entryBytes({ template, data: concat(...fields), hash: SHA1 });
const ng = field(digestNg('sha256', DIGEST));
const entries = (list: ImaList) => Array.from({ length: list.length }, (_, i) => imaEntry(list, i));

describe('lists of real boots', () => {
  for (const name of bootNames) {
    test(`${name}: templates, violations and counts`, () => {
      const all = entries(parseImaList(binaryList(name)));
      const counts = Object.entries(Object.groupBy(all, ({ template }) => template.name));
      expect(Object.fromEntries(counts.map(([template, of]) => [template, of?.length]))).toEqual(
        boot(name).templates,
      );
      expect(all.filter(({ violation }) => violation).map(({ index }) => index)).toEqual(
        boot(name).violations,
      );
      expect(printable(all[0]?.name ?? '')).toBe('boot_aggregate');
    });
  }

  for (const name of [
    'ima-custom-policy-mixed',
    'ima-legacy-sha1',
    'ima-sig',
    'ima-violation-tomtou',
    'ima-critical-data',
  ]) {
    test(`${name}: text and binary form are the same list`, () => {
      const list = parseImaAscii(asciiList(name));
      expect(toHex(list.bytes)).toBe(toHex(binaryList(name)));
      expect(list.lines).toHaveLength(boot(name).entries);
    });
  }

  test('an entry shows its digest, name, fields and place', () => {
    const list = parseImaList(binaryList('ima-custom-policy-mixed'));
    const evm = entries(list).find(({ template }) => template.name === 'evm-sig');
    expect(evm).toMatchObject({ pcr: 10, violation: false, digest: { algo: 'sha256', type: 'ima' } });
    expect(printable(evm?.name ?? '')).toBe('/etc/hostname');
    expect(toHex(evm?.fields.get('iuid') ?? SHA1)).toBe('e9030000');
    expect(toHex(evm?.fields.get('imode') ?? SHA1)).toBe('ed81');
    expect(toHex(hash('sha1', evm?.templateData ?? SHA1, 'buffer'))).toBe(toHex(evm?.templateHash ?? DIGEST));
    expect(list.bytes.subarray(evm?.offset)[0]).toBe(10);
  });

  test('an entry of the legacy template has a bare SHA-1 and a name', () => {
    const [, second] = entries(parseImaList(binaryList('ima-legacy-sha1')));
    expect(second?.digest?.algo).toBe('sha1');
    expect(toHex(second?.fields.get('d') ?? DIGEST)).toBe(toHex(second?.digest?.value ?? SHA1));
    expect(printable(second?.fields.get('n') ?? '')).toBe('/usr/sbin/lab-init');
  });

  test('a violation has no digest', () => {
    const [at = -1] = boot('ima-violation-tomtou').violations;
    const violation = imaEntry(parseImaList(binaryList('ima-violation-tomtou')), at);
    expect(violation.digest).toBeUndefined();
    expect(printable(violation.name)).toBe('/root/f');
  });
});

describe('templates', () => {
  const list = (...bytes: readonly Uint8Array[]) => parseImaList(concat(...bytes));

  test('ima-ngv2 and ima-sigv2 say whether a digest is of the file or of fs-verity', () => {
    const verity = field(digestNg('verity:sha512', new Uint8Array(64)));
    const plain = field(digestNg('ima:sha256', DIGEST));
    const all = entries(list(entry('ima-sigv2', verity, NAME, field(SHA1)), entry('ima-ngv2', plain, NAME)));
    expect(all.map(({ digest }) => [digest?.type, digest?.algo])).toEqual([
      ['verity', 'sha512'],
      ['ima', 'sha256'],
    ]);
  });

  test('a format string names its own fields, in any order', () => {
    const bytes = entry('n-ng|imode|d-ng', NAME, field(Uint8Array.of(1, 2)), ng);
    expect(imaEntry(list(bytes), 0)).toMatchObject({
      name: utf8('/usr/bin/env'),
      digest: { value: DIGEST },
    });
  });

  test('d and n outside of the legacy template have lengths and NUL', () => {
    const all = entries(list(entry('d|n', field(SHA1), NAME), entry('d|n', field(new Uint8Array(16)), NAME)));
    expect(all.map(({ digest }) => digest?.algo)).toEqual(['sha1', 'md5']);
  });

  test('an entry may have no digest: fields of metadata only', () => {
    expect(imaEntry(list(entry('n-ng|iuid', NAME, field(u32le(0)))), 0).digest).toBeUndefined();
  });

  test('d-modsig may be empty and is not the digest of the file', () => {
    const other = field(digestNg('sha1', SHA1));
    const all = list(
      entry('ima-modsig', ng, NAME, field(SHA1), other, field(SHA1)),
      entry('ima-modsig', ng, NAME, field(SHA1), field(new Uint8Array()), field(new Uint8Array())),
    );
    expect(entries(all).map(({ digest }) => digest?.algo)).toEqual(['sha256', 'sha256']);
  });

  test('names of digests of before Linux 5.19', () => {
    expect(imaEntry(list(entry('ima-ng', field(digestNg('sm3-256', DIGEST)), NAME)), 0).digest?.algo).toBe(
      'sm3',
    );
  });

  test('the violation of an old kernel has a SHA-1 of zeros under the name of another digest', () => {
    const old = concat(field(digestNg('sha256', new Uint8Array(20))), NAME);
    const bytes = entryBytes({ template: 'ima-ng', data: old, hash: new Uint8Array(20) });
    expect(imaEntry(list(bytes), 0)).toMatchObject({ violation: true, digest: undefined });
    expect(() => list(entry('ima-ng', old))).toThrow('has a digest of 20 bytes');
  });

  test('bytes.text: a name with a line break and a terminal code is bytes, shown escaped', () => {
    const name = utf8('/tmp/a\n10 \u001b[31m');
    const found = imaEntry(list(entry('ima-ng', ng, field(concat(name, Uint8Array.of(0xff, 0))))), 0).name;
    expect(printable(found)).toBe('/tmp/a\\x0a10 \\x1b[31m\\xff');
  });

  test('a list of another template hash, as Keylime and newer kernels have them', () => {
    const data = concat(ng, NAME);
    const bytes = entryBytes({ template: 'ima-ng', data, hash: DIGEST });
    expect(imaEntry(parseImaList(bytes, { hash: 'sha256' }), 0).templateHash).toEqual(DIGEST);
  });
});

describe('what is refused, and where', () => {
  const good = entry('ima-ng', ng, NAME);
  const refusal = (bytes: Uint8Array, options = {}) => parseErrorOf(() => parseImaList(bytes, options));
  const data = 4 + 20 + 4 + 6 + 4;

  test.each([
    [
      'an entry of another PCR',
      entryBytes({ template: 'ima-ng', data: concat(ng, NAME), hash: SHA1, pcr: 11 }),
      'pcr',
      0,
    ],
    ['a template that is unknown', entry('ima-new', ng, NAME), 'template_name', 28],
    ['a field twice', entry('d-ng|d-ng', ng, ng), 'template_name', 28],
    ['no template name', entry('', ng, NAME), 'template_name', 24],
    ['bytes behind the last field', entry('ima-ng', ng, NAME, SHA1), 'template_data', data + 44 + 17],
    ['a field missing', entry('ima-ng', ng), 'n-ng', data + 44],
    ['a field that is longer than the data', entry('ima-ng', ng, u32le(5)), 'n-ng', data + 48],
    ['a name without NUL', entry('ima-ng', ng, field(utf8('/x'))), 'n-ng', data + 48],
    ['a name of no bytes', entry('ima-ng', ng, field(utf8(''))), 'n-ng', data + 48],
    ['a name with NUL inside', entry('ima-ng', ng, field(utf8('/x\0y\0'))), 'n-ng', data + 50],
    [
      'a digest algorithm that is unknown',
      entry('ima-ng', field(digestNg('sha0', SHA1)), NAME),
      'd-ng',
      data + 4,
    ],
    ['a digest of the wrong size', entry('ima-ng', field(digestNg('sha1', DIGEST)), NAME), 'd-ng', data + 4],
    ['a digest without an algorithm', entry('ima-ng', field(DIGEST), NAME), 'd-ng', data + 4],
    ['a type of digest in d-ng', entry('ima-ng', field(digestNg('ima:sha1', SHA1)), NAME), 'd-ng', data + 4],
    ['no type of digest in d-ngv2', entry('ima-ngv2', ng, NAME), 'd-ngv2', data + 2 + 4],
    [
      'an unknown type of digest',
      entry('ima-ngv2', field(digestNg('evm:sha1', SHA1)), NAME),
      'd-ngv2',
      data + 2 + 4,
    ],
    ['a bare digest of a size that none has', entry('d|n', field(DIGEST), NAME), 'd', data - 3 + 4],
    ['a number of the wrong size', entry('n-ng|iuid', NAME, field(SHA1)), 'iuid', data + 3 + 17 + 4],
  ])('%s', (_, bytes, name, offset) => {
    expect(refusal(bytes)).toEqual({ field: `ima[0].${name}`, offset });
    expect(refusal(concat(good, bytes))).toEqual({ field: `ima[1].${name}`, offset: good.length + offset });
  });

  test('a list of a big-endian kernel, with the way out', () => {
    const swapped = concat(Uint8Array.of(0, 0, 0, 10), good.subarray(4));
    expect(() => parseImaList(swapped)).toThrow('big-endian order, boot with ima_canonical_fmt');
  });

  test('lengths of 32 bits, before anything is reserved for them', () => {
    const huge = concat(u32le(10), SHA1, u32le(0xffffffff));
    expect(refusal(huge)).toEqual({ field: 'ima[0].template_name', offset: 24 });
    const data = concat(u32le(10), SHA1, field(utf8('ima-ng')), u32le(0xffffffff));
    expect(refusal(data)).toEqual({ field: 'ima[0].template_data', offset: 34 });
    const name = concat(u32le(10), SHA1, field(utf8('ima')), SHA1, u32le(256));
    expect(refusal(name)).toEqual({ field: 'ima[0].n', offset: 51 });
  });

  test('more bytes or more entries than allowed', () => {
    expect(refusal(concat(good, good), { maxEntries: 1 })).toEqual({
      field: 'ima[1].pcr',
      offset: good.length,
    });
    expect(refusal(good, { maxBytes: good.length - 1 })).toEqual({ field: 'ima', offset: 0 });
    expect(parseImaList(concat(good, good), { maxEntries: 2 }).length).toBe(2);
  });

  test('more templates than a list can have', () => {
    const ids = ['sig', 'buf', 'evmsig', 'iuid', 'igid', 'modsig'];
    const orders = ids.flatMap((a) => ids.flatMap((b) => ids.map((c) => new Set([a, b, c]))));
    const names = [...new Set(orders.map((order) => [...order].join('|')))];
    const formats = names.flatMap((name) => [`d-ng|n-ng|${name}`, `n-ng|d-ng|${name}`]);
    expect(formats.length).toBeGreaterThan(255);
    const sizes: Readonly<Record<string, number>> = { iuid: 4, igid: 4 };
    const bytes = formats.map((format) =>
      entry(
        format,
        ...format
          .split('|')
          .map((id) => (id === 'd-ng' ? ng : id === 'n-ng' ? NAME : field(new Uint8Array(sizes[id] ?? 0)))),
      ),
    );
    expect(parseImaList(concat(...bytes.slice(0, 255))).length).toBe(255);
    expect(refusal(concat(...bytes)).field).toBe('ima[255].template_name');
  });

  test('a format string of more fields than a kernel can have', () => {
    const bytes = ['sig', 'modsig', 'buf', 'evmsig', 'xattrnames', 'xattrlengths', 'xattrvalues'];
    const digests = ['d-ng', 'd-ngv2', 'd-modsig', 'd'];
    const numbers = ['iuid', 'igid', 'mntuidmap', 'mntgidmap'];
    const contents = [
      ng,
      field(digestNg('ima:sha256', DIGEST)),
      field(new Uint8Array()),
      field(SHA1),
      ...bytes.map(() => field(new Uint8Array())),
      ...numbers.map(() => field(u32le(0))),
    ];
    const fifteen = [...digests, ...bytes, ...numbers];
    expect(parseImaList(entry(fifteen.join('|'), ...contents)).length).toBe(1);
    expect(refusal(entry([...fifteen, 'n-ng'].join('|'), ...contents, NAME)).field).toBe(
      'ima[0].template_name',
    );
  });

  test('an index that the list does not have is a mistake of the caller', () => {
    expect(() => imaEntry(parseImaList(good), 1)).toThrow(RangeError);
  });
});
