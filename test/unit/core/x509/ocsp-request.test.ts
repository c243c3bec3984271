import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { ParseError } from '../../../../core/errors.ts';
import { explicitTag, TAG } from '../../../../core/x509/der.ts';
import { der, derOid, derSequence, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { OCSP_EXTENSION, parseOcspRequest } from '../../../../core/x509/ocsp-request.ts';
import { renderPem } from '../../../../core/x509/pem.ts';
import { keyBits } from '../../../../core/x509/spki.ts';
import { extension } from './forge.ts';
import { nodePki } from './node-pki.ts';
import { Openssl } from './openssl.ts';

const openssl = new Openssl();
let pki: Awaited<ReturnType<typeof nodePki>>;
let issuer: string;
beforeAll(async () => {
  pki = await nodePki();
  issuer = openssl.file('issuing.pem', renderPem('CERTIFICATE', pki.issuing.certificate.der));
});

function asked(...args: readonly string[]): Uint8Array {
  const file = openssl.file('request.der', '');
  openssl.text('ocsp', '-issuer', issuer, '-reqout', file, ...args);
  return new Uint8Array(readFileSync(file));
}

describe("openssl's requests", () => {
  test.each(['sha1', 'sha256', 'sha384', 'sha512'] as const)('with %s', (name) => {
    // The hash is that of the certificates behind it.
    const request = parseOcspRequest(asked(`-${name}`, '-serial', '0x1234', '-no_nonce'));
    const { certificate } = pki.issuing;
    expect(request.nonce).toBeUndefined();
    expect(request.certIds).toHaveLength(1);
    const [certId] = request.certIds;
    expect(certId?.hash).toBe(name);
    expect(toHex(certId?.serial ?? new Uint8Array())).toBe('1234');
    expect(toHex(certId?.issuerNameHash ?? new Uint8Array())).toBe(hash(name, certificate.subject.der));
    expect(toHex(certId?.issuerKeyHash ?? new Uint8Array())).toBe(hash(name, keyBits(certificate.spki)));
  });

  test('with a nonce, for two certificates', () => {
    const request = parseOcspRequest(asked('-serial', '1', '-serial', '0xff', '-nonce'));
    expect(request.nonce?.length).toBeGreaterThanOrEqual(16);
    expect(request.certIds.map(({ serial }) => toHex(serial))).toEqual(['01', '00ff']);
  });
});

const SHA1 = derSequence(derOid('1.3.14.3.2.26'), der(TAG.NULL));
const octets = (length: number) => der(TAG.OCTET_STRING, new Uint8Array(length).fill(7));
const NONE = new Uint8Array();

function certId({
  algorithm = SHA1,
  name = octets(20),
  key = octets(20),
  serial = derUnsigned(Uint8Array.of(5)),
} = {}) {
  return derSequence(algorithm, name, key, serial);
}

function forge({
  version = NONE,
  requestor = NONE,
  requests = [derSequence(certId())],
  extensions = NONE,
  behind = NONE,
}: {
  version?: Uint8Array;
  requestor?: Uint8Array;
  requests?: readonly Uint8Array[];
  extensions?: Uint8Array;
  behind?: Uint8Array;
} = {}): Uint8Array {
  return derSequence(derSequence(version, requestor, derSequence(...requests), extensions), behind);
}

const extensionsOf = (...list: readonly Uint8Array[]) => der(explicitTag(2), derSequence(...list));
const nonce = (length: number, critical = false) => extension(OCSP_EXTENSION.NONCE, critical, octets(length));

test.each<[string, Uint8Array]>([
  ['nothing but a certificate', forge()],
  ['a version that is written out', forge({ version: der(explicitTag(0), derUnsigned(NONE)) })],
  ['a requestor', forge({ requestor: der(explicitTag(1), der(0x82, Buffer.from('me'))) })],
  ['a signature', forge({ behind: der(explicitTag(0), derSequence()) })],
  ['a nonce of 1 byte', forge({ extensions: extensionsOf(nonce(1)) })],
  ['a critical nonce of 128 bytes', forge({ extensions: extensionsOf(nonce(128, true)) })],
  ['an extension that is unknown', forge({ extensions: extensionsOf(extension('1.2.3', false, NONE)) })],
  [
    'a hash that is unknown',
    forge({ requests: [derSequence(certId({ algorithm: derSequence(derOid('1.2.3')) }))] }),
  ],
  ['32 certificates', forge({ requests: Array.from({ length: 32 }, () => derSequence(certId())) })],
])('with %s it is read', (_name, bytes) => {
  expect(parseOcspRequest(bytes).certIds.length).toBeGreaterThan(0);
});

test.each<[string, RegExp, Uint8Array]>([
  ['no certificate', /request/, forge({ requests: [] })],
  [
    '33 certificates',
    /limit of 32/,
    forge({ requests: Array.from({ length: 33 }, () => derSequence(certId())) }),
  ],
  ['another version', /is not v1/, forge({ version: der(explicitTag(0), derUnsigned(Uint8Array.of(1))) })],
  ['an empty nonce', /nonce has 0 bytes|has 0 bytes/, forge({ extensions: extensionsOf(nonce(0)) })],
  ['a nonce of 129 bytes', /has 129 bytes/, forge({ extensions: extensionsOf(nonce(129)) })],
  ['two nonces', /stands twice/, forge({ extensions: extensionsOf(nonce(20), nonce(20)) })],
  [
    'a critical extension',
    /1\.2\.3 is critical/,
    forge({ extensions: extensionsOf(extension('1.2.3', true, NONE)) }),
  ],
  [
    'a critical extension of one certificate',
    /1\.2\.3 is critical/,
    forge({
      requests: [derSequence(certId(), der(explicitTag(0), derSequence(extension('1.2.3', true, NONE))))],
    }),
  ],
  ['an empty hash', /has 0 bytes/, forge({ requests: [derSequence(certId({ name: octets(0) }))] })],
  ['a hash of 65 bytes', /has 65 bytes/, forge({ requests: [derSequence(certId({ key: octets(65) }))] })],
  [
    'a serial number of 22 bytes',
    /has 22 bytes/,
    forge({ requests: [derSequence(certId({ serial: der(TAG.INTEGER, new Uint8Array(22).fill(1)) }))] }),
  ],
  ['bytes behind it', /trailing/, forge({ behind: derUnsigned(Uint8Array.of(1)) })],
  ['bytes behind a certificate', /trailing/, forge({ requests: [derSequence(certId(), SHA1)] })],
])('with %s it is refused', (_name, why, bytes) => {
  expect(() => parseOcspRequest(bytes)).toThrow(why);
  expect(() => parseOcspRequest(bytes)).toThrow(ParseError);
});

test('every prefix is refused, and so is anything behind it', () => {
  const whole = forge({ extensions: extensionsOf(nonce(32)) });
  for (let length = 0; length < whole.length; length += 1)
    expect(() => parseOcspRequest(whole.subarray(0, length))).toThrow(ParseError);
  expect(() => parseOcspRequest(Buffer.concat([whole, Uint8Array.of(0)]))).toThrow(ParseError);
});

test('whatever comes, nothing but a ParseError is thrown', () => {
  const whole = forge({ extensions: extensionsOf(nonce(32)) });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) bytes[at] = value;
      try {
        parseOcspRequest(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ParseError);
      }
    }),
    { numRuns: 2_000 },
  );
});
