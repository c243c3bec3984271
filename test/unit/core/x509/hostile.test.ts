import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { type Certificate, EXTENSION, parseCertificate } from '../../../../core/x509/certificate.ts';
import { parseCrl } from '../../../../core/x509/crl.ts';
import { DerReader, TAG } from '../../../../core/x509/der.ts';
import { isMinimal, readInteger, readOid, readTime } from '../../../../core/x509/der-values.ts';
import { der, derList, derOid, derSequence, derTime, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { appraiseEkCertificate } from '../../../../core/x509/ek-profile.ts';
import { buildPath } from '../../../../core/x509/path.ts';
import { parsePemBundle, renderPem } from '../../../../core/x509/pem.ts';
import { verifySignature } from '../../../../core/x509/signature.ts';
import { AT, ekVector } from '../../registrar/domain/ek-vectors.ts';
import {
  altNames,
  basicConstraints,
  dns,
  email,
  extension,
  extKeyUsage,
  type Forgery,
  forge,
  forgeCa,
  forgeDer,
  ip,
  keyUsage,
  NOON,
  name,
  nameConstraints,
  uri,
} from './forge.ts';
import { crlEntry, forgeCrl, reasonOf } from './forge-crl.ts';
import { nodePki } from './node-pki.ts';
import { lenient, loadVectors, unbase64 } from './vectors.ts';

const pki = await nodePki();
const issuer = forgeCa({
  extensions: [nameConstraints([dns('a.test'), ip(10, 0, 0, 0, 255, 0, 0, 0)], [uri('')])],
});
const full = forge({
  issuer,
  extensions: [
    basicConstraints(false),
    keyUsage('digitalSignature', 'decipherOnly'),
    altNames(dns('a.test'), email('a@b.test'), uri('x://y.test/'), ip(1, 2, 3, 4)),
  ],
});
const CERTIFICATES: Readonly<Record<string, Uint8Array>> = {
  'an EK certificate': ekVector('rsa2048-ok').certificate,
  'a node CA': pki.nodeCa.der,
  'a CA with name constraints': issuer.der,
  'an end entity with all kinds of names': full.der,
  'a CA of a manufacturer': unbase64(loadVectors('manufacturers')[0]?.file ?? ''),
};
const CRL = forgeCrl({
  revoked: derSequence(
    ...Array.from({ length: 8 }, (_, i) => crlEntry(derUnsigned(Uint8Array.of(i + 1)), [reasonOf(1)])),
  ),
});

const PARSERS: readonly (readonly [what: string, Uint8Array, (bytes: Uint8Array) => unknown])[] = [
  ...Object.entries(CERTIFICATES).flatMap(([what, bytes]) => [
    [
      `${what}, strict`,
      parsesStrictly(bytes) ? bytes : pki.leaf.der,
      (input: Uint8Array) => parseCertificate(input),
    ] as const,
    [`${what}, lenient`, bytes, lenient] as const,
  ]),
  ['a CRL', CRL, parseCrl],
];

function parsesStrictly(bytes: Uint8Array): boolean {
  try {
    return parseCertificate(bytes).faults.length === 0;
  } catch {
    return false;
  }
}

/** What a parser makes of bytes: anything, or a ParseError. Whatever else it throws is a fault. */
function outcome<T>(parse: (bytes: Uint8Array) => T, bytes: Uint8Array): T | undefined {
  try {
    return parse(bytes);
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}

/** One to four changes: octets set, a run taken out, doubled or put in. */
const mutationOf = (bytes: Uint8Array) =>
  fc
    .array(
      fc.record({
        at: fc.nat(bytes.length - 1),
        kind: fc.constantFrom('set', 'remove', 'double', 'insert'),
        size: fc.integer({ min: 1, max: 8 }),
        // Tags and lengths are what a reader acts on, so they are more likely than chance makes them.
        octet: fc.oneof(
          fc.nat(255),
          fc.constantFrom(0, 0x1f, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x84, 0x85, 0xa0, 0xff),
        ),
      }),
      { minLength: 1, maxLength: 4 },
    )
    .map((changes) => changes.reduce(changed, [...bytes]))
    .map((octets) => Uint8Array.from(octets));

function changed(
  octets: number[],
  { at, kind, size, octet }: { at: number; kind: string; size: number; octet: number },
): number[] {
  const [before, run, after] = [octets.slice(0, at), octets.slice(at, at + size), octets.slice(at + size)];
  if (kind === 'remove') return [...before, ...after];
  if (kind === 'double') return [...before, ...run, ...run, ...after];
  if (kind === 'insert') return [...before, octet, ...run, ...after];
  return [...before, octet, ...run.slice(1), ...after];
}

describe('bytes.bounds: a structure is whole or it is refused', () => {
  for (const [what, bytes, parse] of PARSERS) {
    test(`${what}: itself is read, every prefix is refused`, () => {
      expect(() => parse(bytes)).not.toThrow();
      for (let length = 0; length < bytes.length; length++) {
        expect(() => parse(bytes.subarray(0, length)), `${length} bytes`).toThrow(ParseError);
      }
    });
  }

  for (const [what, bytes, parse] of PARSERS.filter(([name]) => !name.endsWith('lenient'))) {
    test(`${what}: any suffix is refused`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (suffix) => {
          expect(() => parse(Uint8Array.of(...bytes, ...suffix))).toThrow(ParseError);
        }),
      );
    });
  }

  test('in lenient mode a suffix is named, cut off, and changes nothing else', () => {
    for (const bytes of Object.values(CERTIFICATES)) {
      const alone = lenient(bytes);
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (suffix) => {
          const padded = lenient(Uint8Array.of(...bytes, ...suffix));
          expect(padded.faults).toEqual([...alone.faults, 'trailing-padding']);
          expect(padded.der).toEqual(alone.der);
          expect(padded.tbs).toEqual(alone.tbs);
        }),
        { numRuns: 20 },
      );
    }
  });
});

describe('hostile bytes are refused with a ParseError, or are another certificate', () => {
  for (const [what, bytes, parse] of PARSERS) {
    test(`${what}: changed at random`, () => {
      fc.assert(
        fc.property(mutationOf(bytes), (mutated) => {
          outcome(parse, mutated);
        }),
        { numRuns: 1000 },
      );
    });
  }

  test('any bytes, alone and within a SEQUENCE', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const parsers: readonly ((input: Uint8Array) => unknown)[] = [
          parseCertificate,
          lenient,
          parseCrl,
          parsePemBundle,
        ];
        for (const parse of parsers) {
          outcome(parse, bytes);
          outcome(parse, der(TAG.SEQUENCE, bytes));
          outcome(parse, derSequence(der(TAG.SEQUENCE, bytes), derSequence(derOid('1.2.3'))));
        }
      }),
      { numRuns: 500 },
    );
  });

  test('no certificate that was changed is believed, and judging it throws nothing', () => {
    const vector = ekVector('rsa2048-ok');
    const chain = vector.intermediates.map(lenient);
    const anchors = [lenient(vector.anchor)];
    const original = lenient(vector.certificate);
    fc.assert(
      fc.property(mutationOf(vector.certificate), (mutated) => {
        const certificate = outcome(lenient, mutated);
        if (!certificate) return;
        const { ok } = appraiseEkCertificate({ certificate, chain, anchors, ekSpki: original.spki, at: AT });
        // What is signed and the signature are unchanged in a certificate that is still good.
        expect(ok).toBe(Buffer.from(certificate.der).equals(original.der));
      }),
      { numRuns: 1000 },
    );
  });

  test('no issuer that was changed leads to its anchor', () => {
    const { root, issuing, nodeCa, leaf } = pki;
    fc.assert(
      fc.property(mutationOf(nodeCa.der), (mutated) => {
        const certificate = outcome<Certificate>(parseCertificate, mutated);
        if (!certificate || Buffer.from(mutated).equals(nodeCa.der)) return;
        const intermediates = [certificate, issuing.certificate];
        expect(buildPath({ leaf, intermediates, anchors: [root], at: NOON }).ok).toBe(false);
        expect(verifySignature(certificate, issuing.certificate)).not.toBe('good');
      }),
      { numRuns: 1000 },
    );
  });
});

describe('what was written is read back', () => {
  test('any magnitude, minimal', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (magnitude) => {
        const value = readInteger(DerReader.over(derUnsigned(magnitude), 'x'), 'x');
        expect(isMinimal(value)).toBe(true);
        const hex = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
        expect(hex(value)).toBe(hex(magnitude));
        expect((value[0] ?? 0) < 0x80).toBe(true);
      }),
    );
  });

  test('any object identifier', () => {
    const arcs = fc.array(fc.bigInt({ min: 0n, max: 1n << 40n }), { maxLength: 6 });
    const root = fc.oneof(
      fc.tuple(fc.constantFrom(0n, 1n), fc.bigInt({ min: 0n, max: 39n })),
      fc.tuple(fc.constant(2n), fc.bigInt({ min: 0n, max: 1n << 40n })),
    );
    fc.assert(
      fc.property(root, arcs, (start, rest) => {
        const dotted = [...start, ...rest].join('.');
        expect(readOid(DerReader.over(derOid(dotted), 'x'), 'x')).toBe(dotted);
      }),
    );
  });

  test('any second from 1950 to 9999', () => {
    const min = Date.UTC(1950, 0, 1) / 1000;
    const max = Date.UTC(9999, 11, 31, 23, 59, 59) / 1000;
    fc.assert(
      fc.property(fc.integer({ min, max }), (seconds) => {
        const time = new Date(seconds * 1000);
        expect(readTime(DerReader.over(derTime(time), 'x'), 'x')).toEqual(time);
      }),
      { examples: [[min], [max], [Date.UTC(2050, 0, 1) / 1000], [Date.UTC(2050, 0, 1) / 1000 - 1], [0]] },
    );
  });

  test('contents of any length, with the length in its one form', () => {
    for (const length of [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000]) {
      const reader = DerReader.over(der(TAG.OCTET_STRING, new Uint8Array(length)), 'x');
      expect(reader.element(TAG.OCTET_STRING, 'x').value).toHaveLength(length);
      expect(reader.done).toBe(true);
    }
  });
});

describe('api.limits: the work is bounded', () => {
  const timed = (act: () => unknown) => {
    const start = performance.now();
    expect(act).toThrow(ParseError);
    return performance.now() - start;
  };

  test('nesting without end', () => {
    let nested = new Uint8Array();
    for (let i = 0; i < 2000; i++) nested = Uint8Array.from(derSequence(nested));
    for (const parse of [parseCertificate, lenient, parseCrl])
      expect(timed(() => parse(nested))).toBeLessThan(2000);
    const deep = (levels: number) => {
      let reader = DerReader.over(nested, 'x');
      for (let i = 0; i < levels; i++) reader = reader.sequence('x');
    };
    expect(() => deep(24)).not.toThrow();
    expect(() => deep(25)).toThrow(/nested too deeply/);
  });

  test('elements without end', () => {
    const empty = derList(TAG.SEQUENCE, new Array(20_000).fill(der(TAG.NULL)));
    const reader = DerReader.over(empty, 'x').sequence('list');
    expect(() => {
      while (!reader.done) reader.any('element');
    }).toThrow(/too many elements/);
  });

  test('a certificate of over 64 KiB is refused unread', () => {
    expect(timed(() => lenient(new Uint8Array(10_000_000)))).toBeLessThan(2000);
    expect(() => lenient(new Uint8Array(65_537))).toThrow(/limit/);
  });

  test('a certificate of 64 KiB, all in what is slowest to read', () => {
    for (const [oid, value] of [
      [EXTENSION.EXT_KEY_USAGE, derList(TAG.SEQUENCE, new Array(5000).fill(derOid('1.2.3')))],
      [EXTENSION.SUBJECT_ALT_NAME, derList(TAG.SEQUENCE, new Array(5000).fill(dns('a.test')))],
    ] as const) {
      const { der: bytes } = forgeDer({ extensions: [extension(oid, false, value)] });
      expect(timed(() => lenient(bytes))).toBeLessThan(2000);
    }
  });

  const times = <T>(count: number, make: (i: number) => T) =>
    Array.from({ length: count }, (_, i) => make(i));
  const rdn = (i: number) => ['2.5.4.3', `${i}`] as const;
  const LISTS: readonly (readonly [what: string, limit: number, (count: number) => Forgery])[] = [
    [
      'extensions',
      64,
      (n) => ({
        ski: null,
        aki: null,
        extensions: times(n, (i) => extension(`1.2.3.${i}`, false, der(TAG.NULL))),
      }),
    ],
    ['purposes', 256, (n) => ({ extensions: [extKeyUsage(...times(n, (i) => `1.2.3.${i}`))] })],
    ['alternative names', 256, (n) => ({ extensions: [altNames(...times(n, (i) => dns(`${i}.test`)))] })],
    ['permitted names', 256, (n) => ({ extensions: [nameConstraints(times(n, (i) => dns(`${i}.test`)))] })],
    ['parts of a name', 64, (n) => ({ subject: name(...times(n, rdn)) })],
  ];
  for (const [what, limit, forgery] of LISTS) {
    test(`${limit} ${what} at most`, () => {
      expect(() => lenient(forgeDer(forgery(limit)).der)).not.toThrow();
      expect(() => lenient(forgeDer(forgery(limit + 1)).der)).toThrow(/limit of|has over/);
    });
  }

  test('an object identifier of 64 bytes at most', () => {
    const oid = (length: number) =>
      der(TAG.OID, new Uint8Array(length).fill(0x81, 0, length - 1).fill(1, length - 1));
    expect(() => readOid(DerReader.over(oid(64), 'x'), 'x')).not.toThrow();
    expect(() => readOid(DerReader.over(oid(65), 'x'), 'x')).toThrow(/65 bytes/);
  });

  test('PEM of 64 KiB and of 16 certificates at most', () => {
    const certificates = Array.from({ length: 17 }, () => forgeCa().der);
    const text = (count: number) =>
      certificates
        .slice(0, count)
        .map((one) => renderPem('CERTIFICATE', one))
        .join('');
    expect(parsePemBundle(text(16))).toHaveLength(16);
    expect(timed(() => parsePemBundle(text(17)))).toBeLessThan(2000);
    const dashes = '-----BEGIN CERTIFICATE-----'.repeat(2300);
    expect(timed(() => parsePemBundle(dashes))).toBeLessThan(2000);
    expect(timed(() => parsePemBundle('x'.repeat(10_000_000)))).toBeLessThan(2000);
  });
});
