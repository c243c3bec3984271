import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { type Certificate, EXTENSION, parseCertificate } from '../../../../core/x509/certificate.ts';
import { DerReader, explicitTag, implicitTag, TAG } from '../../../../core/x509/der.ts';
import { readOid } from '../../../../core/x509/der-values.ts';
import { der, derOid, derSequence, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { directory, dns, extension, forgeDer, ip, name, uri } from './forge.ts';

const bytes = (...octets: readonly number[]) => Uint8Array.from(octets);
const integer = (...octets: readonly number[]) => der(TAG.INTEGER, bytes(...octets));
const bits = (...octets: readonly number[]) => der(TAG.BIT_STRING, bytes(...octets));
const subtree = (...parts: readonly Uint8Array[]) => derSequence(der(explicitTag(0), derSequence(...parts)));
const NULL = der(TAG.NULL);
const TRUE = der(TAG.BOOLEAN, bytes(0xff));

function withExtension(oid: string, value: Uint8Array): Certificate {
  return parseCertificate(forgeDer({ ski: null, aki: null, extensions: [extension(oid, false, value)] }).der);
}

const MALFORMED: readonly (readonly [what: string, oid: string, problem: RegExp, value: Uint8Array])[] = [
  ['a negative path length', EXTENSION.BASIC_CONSTRAINTS, /negative/, derSequence(TRUE, integer(0x80))],
  [
    'a path length of 40 bits',
    EXTENSION.BASIC_CONSTRAINTS,
    /limit/,
    derSequence(TRUE, integer(1, 0, 0, 0, 0)),
  ],
  [
    'something behind the path length',
    EXTENSION.BASIC_CONSTRAINTS,
    /trailing/,
    derSequence(TRUE, integer(0), NULL),
  ],
  ['a key usage without the count of unused bits', EXTENSION.KEY_USAGE, /bit string/, bits()],
  ['a key usage with 8 unused bits', EXTENSION.KEY_USAGE, /bit string/, bits(8, 0x80)],
  ['a key usage that ends before it begins', EXTENSION.KEY_USAGE, /behind its end/, bits(1)],
  ['no purpose', EXTENSION.EXT_KEY_USAGE, /keyPurposeId.*missing/, derSequence()],
  ['no alternative name', EXTENSION.SUBJECT_ALT_NAME, /missing|cut off/, derSequence()],
  ['an address of 5 bytes', EXTENSION.SUBJECT_ALT_NAME, /5 bytes/, derSequence(ip(1, 2, 3, 4, 5))],
  [
    'a range as an address',
    EXTENSION.SUBJECT_ALT_NAME,
    /8 bytes/,
    derSequence(ip(10, 0, 0, 0, 255, 0, 0, 0)),
  ],
  ['a NUL in a DNS name', EXTENSION.SUBJECT_ALT_NAME, /control/, derSequence(dns('a.test\0.b.test'))],
  ['a line break in a URI', EXTENSION.SUBJECT_ALT_NAME, /control/, derSequence(uri('x://a.test/\n'))],
  ['a DNS name that is not ASCII', EXTENSION.SUBJECT_ALT_NAME, /ASCII/, derSequence(dns('ä.test'))],
  [
    'a kind of name that is none',
    EXTENSION.SUBJECT_ALT_NAME,
    /general name/,
    derSequence(der(implicitTag(9))),
  ],
  [
    'something behind a directory name',
    EXTENSION.SUBJECT_ALT_NAME,
    /trailing/,
    derSequence(der(explicitTag(4), name(['2.5.4.3', 'x']), NULL)),
  ],
  [
    'an RDN without attributes',
    EXTENSION.SUBJECT_ALT_NAME,
    /attribute.*missing/,
    derSequence(directory(derSequence(der(TAG.SET)))),
  ],
  ['no constraint', EXTENSION.NAME_CONSTRAINTS, /empty/, derSequence()],
  [
    'an empty list of permitted names',
    EXTENSION.NAME_CONSTRAINTS,
    /missing/,
    derSequence(der(explicitTag(0))),
  ],
  [
    'a minimum',
    EXTENSION.NAME_CONSTRAINTS,
    /trailing/,
    subtree(dns('a.test'), der(implicitTag(0), bytes(1))),
  ],
  [
    'a maximum',
    EXTENSION.NAME_CONSTRAINTS,
    /trailing/,
    subtree(dns('a.test'), der(implicitTag(1), bytes(1))),
  ],
  ['an address as a range', EXTENSION.NAME_CONSTRAINTS, /4 bytes/, subtree(ip(10, 0, 0, 0))],
  ['a mask with holes', EXTENSION.NAME_CONSTRAINTS, /range/, subtree(ip(10, 0, 0, 0, 255, 0, 255, 0))],
  ['an empty key identifier', EXTENSION.SUBJECT_KEY_ID, /empty/, der(TAG.OCTET_STRING)],
  [
    'a serial number of the issuer that is not minimal',
    EXTENSION.AUTHORITY_KEY_ID,
    /minimal/,
    derSequence(der(implicitTag(2), bytes(0, 1))),
  ],
  ['no distribution point', EXTENSION.CRL_DISTRIBUTION_POINTS, /missing/, derSequence()],
  ['no policy', EXTENSION.CERTIFICATE_POLICIES, /missing/, derSequence()],
  ['no access', EXTENSION.AUTHORITY_INFO_ACCESS, /missing/, derSequence()],
  ...Object.entries(EXTENSION)
    .filter(([key]) => !key.startsWith('CRL_') || key === 'CRL_DISTRIBUTION_POINTS')
    .map(([key, oid]) => [`a NULL as ${key}`, oid, /has tag 0x5/, NULL] as const),
];

describe('extensions that are malformed, whether critical or not', () => {
  for (const [what, oid, problem, value] of MALFORMED) {
    test(what, () => {
      expect(() => withExtension(oid, value)).toThrow(ParseError);
      expect(() => withExtension(oid, value)).toThrow(problem);
    });
  }

  test('something behind the value of any that is known', () => {
    for (const { oid, value } of withAll().extensions) {
      expect(() => withExtension(oid, value), oid).not.toThrow();
      expect(() => withExtension(oid, Uint8Array.of(...value, 5, 0)), oid).toThrow(/trailing/);
    }
  });
});

function withAll(): Certificate {
  const point = der(explicitTag(0), der(explicitTag(0), uri('http://a.test/crl')));
  const relative = der(explicitTag(0), der(explicitTag(1), derSequence(derOid('2.5.4.3'), NULL)));
  const access = (method: string, path: string) =>
    derSequence(derOid(`1.3.6.1.5.5.7.48.${method}`), uri(`http://a.test/${path}`));
  const issuerName = der(explicitTag(1), directory(name(['2.5.4.3', 'x'])));
  const all: readonly (readonly [string, Uint8Array])[] = [
    [EXTENSION.BASIC_CONSTRAINTS, derSequence(TRUE, integer(3))],
    [EXTENSION.KEY_USAGE, bits(7, 0x86, 0x80)],
    [EXTENSION.EXT_KEY_USAGE, derSequence(derOid('2.23.133.8.1'))],
    [
      EXTENSION.SUBJECT_ALT_NAME,
      derSequence(dns('a.test'), ip(...new Uint8Array(16)), der(implicitTag(8), bytes(42))),
    ],
    [EXTENSION.NAME_CONSTRAINTS, subtree(ip(10, 0, 0, 0, 255, 128, 0, 0))],
    [EXTENSION.SUBJECT_KEY_ID, der(TAG.OCTET_STRING, bytes(1))],
    [
      EXTENSION.AUTHORITY_KEY_ID,
      derSequence(der(implicitTag(0), bytes(2)), issuerName, der(implicitTag(2), bytes(3))),
    ],
    [EXTENSION.CRL_DISTRIBUTION_POINTS, derSequence(derSequence(point), derSequence(relative))],
    [EXTENSION.CERTIFICATE_POLICIES, derSequence(derSequence(derOid('2.5.29.32.0'), derSequence(NULL)))],
    [
      EXTENSION.AUTHORITY_INFO_ACCESS,
      derSequence(access('1', 'ocsp'), access('2', 'ca'), access('2', 'old')),
    ],
  ];
  const extensions = all.map(([oid, value]) => extension(oid, false, value));
  return parseCertificate(forgeDer({ ski: null, aki: null, extensions }).der);
}

test('all extensions that are known, at once', () => {
  expect(withAll()).toMatchObject({
    basicConstraints: { ca: true, pathLen: 3 },
    keyUsage: new Set(['digitalSignature', 'keyCertSign', 'cRLSign', 'decipherOnly']),
    extKeyUsage: ['2.23.133.8.1'],
    subjectAltName: [{ type: 'dns', value: 'a.test' }, { type: 'ip' }, { type: 'other', tag: 0x88 }],
    nameConstraints: { permitted: [{ type: 'ip' }], excluded: [] },
    subjectKeyId: bytes(1),
    authorityKeyId: { keyId: bytes(2), issuer: [{ type: 'directoryName' }], serial: bytes(3) },
    crlDistributionPoints: ['http://a.test/crl'],
    certificatePolicies: ['2.5.29.32.0'],
    authorityInfoAccess: {
      ocsp: ['http://a.test/ocsp'],
      caIssuers: ['http://a.test/ca', 'http://a.test/old'],
    },
    unknownCritical: [],
    faults: [],
  });
});

describe('elements that are not DER', () => {
  const CASES: readonly (readonly [what: string, problem: RegExp, readonly number[]])[] = [
    ['nothing', /missing/, []],
    ['a tag alone', /cut off/, [0x30]],
    ['an indefinite length', /indefinite/, [0x30, 0x80, 0, 0]],
    ['a length of 5 bytes', /length of 5 bytes/, [0x30, 0x85, 0, 0, 0, 0, 0]],
    ['a short length in the long form', /not minimal/, [0x30, 0x81, 1, 5]],
    ['a length with a zero before it', /not minimal/, [0x30, 0x82, 0, 0x80, ...new Array(128).fill(0)]],
    ['a length that is cut off', /cut off/, [0x30, 0x82, 1]],
    ['less than its length', /needs 2 bytes, 1 left/, [0x30, 2, 5]],
    ['the greatest length', /needs 4294967295 bytes/, [0x30, 0x84, 0xff, 0xff, 0xff, 0xff]],
    ['another tag', /has tag 0x31, 0x30 expected/, [0x31, 0]],
  ];
  for (const [what, problem, octets] of CASES) {
    test(what, () => {
      expect(() => DerReader.over(bytes(...octets), 'x').sequence('field')).toThrow(ParseError);
      expect(() => DerReader.over(bytes(...octets), 'x').sequence('field')).toThrow(problem);
    });
  }

  test('a tag number over 30', () => {
    expect(() => DerReader.over(bytes(0x1f, 0x20, 0), 'x').any('field')).toThrow(/over 30/);
  });

  const OIDS: readonly (readonly [what: string, problem: RegExp, readonly number[]])[] = [
    ['an empty one', /0 bytes/, []],
    ['an arc with a zero before it', /not minimal/, [0x2a, 0x80, 1]],
    ['one that ends within an arc', /within an arc/, [0x2a, 0x81]],
  ];
  for (const [what, problem, octets] of OIDS) {
    test(`object identifiers: ${what}`, () => {
      const read = () => readOid(DerReader.over(der(TAG.OID, bytes(...octets)), 'x'), 'oid');
      expect(read).toThrow(problem);
      expect(read).toThrow(ParseError);
    });
  }

  test('object identifiers: an arc of 70 bits is not a short one', () => {
    const wrapped = bytes(0x2a, 0x81, ...new Array(9).fill(0x80), 3);
    expect(readOid(DerReader.over(der(TAG.OID, wrapped), 'x'), 'oid')).toBe(`1.2.${(1n << 70n) + 3n}`);
    expect(derUnsigned(bytes(0, 0, 5))).toEqual(integer(5));
  });
});
