import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { EXTENSION, parseCertificate } from '../../../../core/x509/certificate.ts';
import { type EncodingFault, TAG } from '../../../../core/x509/der.ts';
import { der, derBits, derOid, derSequence } from '../../../../core/x509/der-writer.ts';
import { verifySignature } from '../../../../core/x509/signature.ts';
import { spkiSha256 } from '../../../../core/x509/spki.ts';
import { rsa2048 } from './chain-cases.ts';
import { extension, type Forgery, forgeDer, newKey } from './forge.ts';
import { lenient } from './vectors.ts';

const text = (tag: number, value: string) => der(tag, Buffer.from(value, 'latin1'));
const integer = (...octets: readonly number[]) => der(TAG.INTEGER, Uint8Array.from(octets));
const FALSE = der(TAG.BOOLEAN, Uint8Array.of(0));

const RSAES_OAEP = derSequence(
  derOid('1.2.840.113549.1.1.7'),
  // pSourceAlgorithm with the label TCPA, as the oldest profile of EK certificates asked for.
  derSequence(der(0xa2, derSequence(derOid('1.2.840.113549.1.1.9'), text(TAG.OCTET_STRING, 'TCPA')))),
);
const rsaSpki = new Uint8Array(rsa2048.publicKey.export({ type: 'spki', format: 'der' }));
const rsaKeyBits = rsaSpki.subarray(rsaSpki.length - 270);
const oaepSpki = derSequence(RSAES_OAEP, derBits(rsaKeyBits));

const attribute = (type: string, value: string) => derSequence(derOid(type), text(TAG.UTF8_STRING, value));
const unsortedName = derSequence(
  der(TAG.SET, attribute('2.5.4.10', 'organization'), attribute('2.5.4.3', 'name')),
);
const keyUsageBits = (...octets: readonly number[]) =>
  extension(EXTENSION.KEY_USAGE, true, der(TAG.BIT_STRING, Uint8Array.from(octets)));

/** One fault each, in everything that is read leniently. */
const FAULTS: readonly (readonly [what: string, EncodingFault, Forgery])[] = [
  ['a key marked id-RSAES-OAEP', 'oaep-spki', { spki: oaepSpki }],
  ['a serial number with a needless zero byte', 'non-minimal-serial', { serial: integer(0, 0, 5) }],
  [
    'a serial number of 20 bytes and a sign',
    'long-serial',
    { serial: integer(0, ...new Array(20).fill(0x80)) },
  ],
  ['a negative serial number', 'serial-not-positive', { serial: integer(0x90, 1) }],
  ['the serial number zero', 'serial-not-positive', { serial: integer(0) }],
  ['attributes of one RDN that are not sorted', 'set-order', { subject: unsortedName }],
  ['version 1 that is written out', 'explicit-default', { version: 0, ski: null, aki: null }],
  [
    'critical FALSE that is written out',
    'explicit-default',
    { extensions: [derSequence(derOid('1.2.3.4'), FALSE, text(TAG.OCTET_STRING, ''))] },
  ],
  [
    'cA FALSE that is written out',
    'explicit-default',
    { extensions: [extension(EXTENSION.BASIC_CONSTRAINTS, true, derSequence(FALSE))] },
  ],
  ['a key usage that ends in zero bits', 'trailing-zero-bits', { extensions: [keyUsageBits(0, 0x20)] }],
  ['a GeneralizedTime before 2050', 'time-form', { notAfter: text(TAG.GENERALIZED_TIME, '20491231235959Z') }],
];

describe('faults of manufacturers: refused in strict mode, tolerated by name in lenient mode', () => {
  for (const [what, fault, forgery] of FAULTS) {
    test(`${fault}: ${what}`, () => {
      const { der: bytes, key } = forgeDer(forgery);
      expect(() => parseCertificate(bytes)).toThrow(ParseError);
      const certificate = lenient(bytes);
      expect(certificate.faults).toEqual([fault]);
      expect(certificate.der).toEqual(bytes);
      expect(verifySignature(certificate, key)).toBe('good');
    });
  }

  test('trailing-padding: bytes behind the certificate, of any value', () => {
    const { der: bytes } = forgeDer();
    for (const filler of [0, 0xff]) {
      const padded = new Uint8Array(2048).fill(filler);
      padded.set(bytes);
      expect(() => parseCertificate(padded)).toThrow(/trailing bytes/);
      const certificate = lenient(padded);
      expect(certificate.faults).toEqual(['trailing-padding']);
      expect(certificate.der).toEqual(bytes);
    }
  });

  test('all of them at once are all named, and each once', () => {
    const { der: bytes } = forgeDer({
      spki: oaepSpki,
      serial: integer(0, 0, 0),
      subject: unsortedName,
      extensions: [keyUsageBits(0, 0x20), extension(EXTENSION.BASIC_CONSTRAINTS, true, derSequence(FALSE))],
      notBefore: text(TAG.GENERALIZED_TIME, '20260101000000Z'),
      notAfter: text(TAG.GENERALIZED_TIME, '20491231235959Z'),
    });
    const names = new Set<EncodingFault>([...FAULTS.map(([, fault]) => fault), 'trailing-padding']);
    names.delete('long-serial');
    expect(new Set(lenient(Uint8Array.of(...bytes, 0)).faults)).toEqual(names);
  });

  test('a certificate without faults names none', () => {
    expect(lenient(forgeDer().der).faults).toEqual([]);
    expect(lenient(forgeDer({ serial: integer(...new Array(20).fill(1)) }).der).faults).toEqual([]);
  });

  test('oaep-spki: the key is the one behind the mark, so it hashes like the EK', () => {
    const certificate = lenient(forgeDer({ spki: oaepSpki }).der);
    expect(certificate.publicKey.equals(rsa2048.publicKey)).toBe(true);
    expect(certificate.spki).toEqual(rsaSpki);
    expect(spkiSha256(certificate)).toEqual(spkiSha256(rsa2048.publicKey));
  });
});

describe('what lenient mode does not tolerate either', () => {
  const OTHERS: readonly (readonly [what: string, Forgery, RegExp])[] = [
    ['an empty serial number', { serial: integer() }, /serialNumber/],
    ['a serial number of 22 bytes', { serial: integer(1, ...new Array(21).fill(1)) }, /serialNumber/],
    ['an unknown version', { version: 3 }, /version/],
    ['an outer algorithm that is not the signed one', { outerAlgorithm: RSAES_OAEP }, /differs/],
    ['no issuer', { issuerName: derSequence() }, /issuer/],
    [
      'extensions in a certificate of version 1',
      { version: undefined, extensions: [keyUsageBits(7, 0x80)] },
      /not of version 3/,
    ],
    [
      'the same extension twice',
      { extensions: [keyUsageBits(7, 0x80), keyUsageBits(7, 0x80)] },
      /stands twice/,
    ],
    ['a boolean that is neither', { extensions: [critical(0x01)] }, /boolean/],
    ['a key usage with bits behind its end', { extensions: [keyUsageBits(1, 0x81)] }, /bits behind its end/],
    ['a key usage that is not known', { extensions: [keyUsageBits(4, 0, 0x10)] }, /bits are known/],
    [
      'a path length without a CA',
      { extensions: [extension(EXTENSION.BASIC_CONSTRAINTS, true, derSequence(integer(0)))] },
      /not a CA/,
    ],
    ['a time with a fraction', { notAfter: text(TAG.GENERALIZED_TIME, '20991231235959.5Z') }, /time/],
    ['a time with an offset', { notAfter: text(TAG.UTC_TIME, '2712312359+0100') }, /time/],
    ['a time without seconds', { notAfter: text(TAG.UTC_TIME, '2712312359Z') }, /time/],
    ['a year before 1950', { notBefore: text(TAG.GENERALIZED_TIME, '19491231235959Z') }, /time/],
    ['a time that is no time', { notAfter: text(TAG.UTF8_STRING, '20991231235959Z') }, /time/],
    ['31 February', { notAfter: text(TAG.UTC_TIME, '270231000000Z') }, /time/],
    ['24 o’clock', { notAfter: text(TAG.UTC_TIME, '271231240000Z') }, /time/],
  ];
  for (const [what, forgery, problem] of OTHERS) {
    test(what, () => {
      const { der: bytes } = forgeDer(forgery);
      expect(() => lenient(bytes)).toThrow(ParseError);
      expect(() => lenient(bytes)).toThrow(problem);
    });
  }

  const NO_KEYS: readonly (readonly [what: string, spki: Uint8Array])[] = [
    ['a point off its curve', offCurve()],
    ['the point at infinity', ecSpki(derOid('1.2.840.10045.3.1.7'), Uint8Array.of(0))],
    ['no point at all', ecSpki(derOid('1.2.840.10045.3.1.7'), new Uint8Array())],
    ['a curve that nobody knows', ecSpki(derOid('1.2.3.4'), new Uint8Array(65).fill(4))],
    [
      'a kind of key that nobody knows',
      derSequence(derSequence(derOid('1.2.3.4')), derBits(new Uint8Array(65))),
    ],
  ];
  for (const [what, spki] of NO_KEYS) {
    test(`a key that is ${what}, when it is asked for`, () => {
      const certificate = lenient(forgeDer({ spki }).der);
      expect(() => certificate.publicKey).toThrow(ParseError);
    });
  }

  test('a curve that is written out and not named', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' });
    const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
    expect(() => lenient(forgeDer({ spki }).der)).toThrow(/does not name its curve/);
    expect(() => lenient(forgeDer({ spki: ecSpki(new Uint8Array(), new Uint8Array(65)) }).der)).toThrow(
      ParseError,
    );
  });
});

function ecSpki(parameters: Uint8Array, point: Uint8Array): Uint8Array {
  return derSequence(derSequence(derOid('1.2.840.10045.2.1'), parameters), derBits(point));
}

function offCurve(): Uint8Array {
  const spki = new Uint8Array(newKey().publicKey.export({ type: 'spki', format: 'der' }));
  spki[spki.length - 1] = (spki.at(-1) ?? 0) ^ 1;
  return spki;
}

function critical(octet: number): Uint8Array {
  const flag = der(TAG.BOOLEAN, Uint8Array.of(octet));
  return derSequence(derOid('1.2.3.4'), flag, text(TAG.OCTET_STRING, ''));
}
