import { createPublicKey } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { ParseError, type ParseRule } from '../../../../core/errors.ts';
import { EK_TEMPLATES } from '../../../../core/tpm/endorsement-key.ts';
import { publicKeyOf, spkiOf } from '../../../../core/tpm/key.ts';
import {
  marshalTpmtPublic,
  parseTpm2bPublic,
  parseTpmtPublic,
  type TpmtPublic,
} from '../../../../core/tpm/public.ts';
import { softwareEcc, softwareRsa } from './software-key.ts';
import { expectWhole, loadVectors, patched, unhex, vector } from './vectors.ts';

const rsa = unhex(vector(loadVectors('quote'), 'rsassa-sha256-ok').akPublic).subarray(2);
const ecc = unhex(vector(loadVectors('quote'), 'ecdsa-p256-ok').akPublic).subarray(2);
const ek = unhex(vector(loadVectors('credential'), 'L-1').ekPublic).subarray(2);

// Offsets in a public area without an authorisation policy.
const AT = { type: 0, nameAlg: 2, attributes: 4, policy: 8, symmetric: 10, scheme: 12, schemeHash: 14 };
const RSA = { keyBits: 16, exponent: 18, uniqueSize: 22, modulus: 24 };
const ECC = { curve: 16, kdf: 18, x: 22 };

describe('a public area is read', () => {
  test('an RSA attestation key', () => {
    expect(parseTpmtPublic(rsa)).toMatchObject({
      type: 'rsa',
      nameAlg: 'sha256',
      objectAttributes: { fixedTPM: true, restricted: true, sign: true, decrypt: false, stClear: false },
      symmetric: { type: 'null' },
      scheme: { type: 'rsassa', hash: 'sha256' },
      keyBits: 2048,
      exponent: 0,
    });
  });

  test('an RSA endorsement key', () => {
    expect(parseTpmtPublic(ek)).toMatchObject({
      symmetric: { type: 'aes', keyBits: 128, mode: 'cfb' },
      scheme: { type: 'null' },
    });
  });

  test('an ECC attestation key', () => {
    expect(parseTpmtPublic(ecc)).toMatchObject({
      type: 'ecc',
      scheme: { type: 'ecdsa', hash: 'sha256' },
      curve: 'p256',
      kdf: { type: 'null' },
    });
  });

  test('a short modulus size in a big structure is whole or refused', () => {
    expectWhole(parseTpmtPublic, ecc);
  });
});

interface Refusal {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly field: string;
  readonly rule: ParseRule;
}

const refusals: readonly Refusal[] = [
  { name: 'a keyed hash', bytes: patched(rsa, AT.type, 0, 0x08), field: 'type', rule: 'bytes.known' },
  { name: 'a symmetric cipher', bytes: patched(rsa, AT.type, 0, 0x25), field: 'type', rule: 'bytes.known' },
  { name: 'an unknown type', bytes: patched(rsa, AT.type, 0, 0x24), field: 'type', rule: 'bytes.known' },
  {
    name: 'an unknown name algorithm',
    bytes: patched(rsa, AT.nameAlg, 0, 0x12),
    field: 'nameAlg',
    rule: 'bytes.known',
  },
  {
    name: 'reserved attribute bit 0',
    bytes: patched(rsa, AT.attributes + 3, 0x73),
    field: 'objectAttributes',
    rule: 'bytes.known',
  },
  {
    name: 'reserved attribute bit 31',
    bytes: patched(rsa, AT.attributes, 0x80),
    field: 'objectAttributes',
    rule: 'bytes.known',
  },
  {
    name: 'a policy longer than any digest',
    bytes: patched(ek, AT.policy, 0, 65),
    field: 'authPolicy',
    rule: 'bytes.bounds',
  },
  {
    name: 'an unknown cipher',
    bytes: patched(ek, AT.symmetric + 32, 0, 0x13),
    field: 'symmetric.algorithm',
    rule: 'bytes.known',
  },
  {
    name: 'an AES key of 129 bits',
    bytes: patched(ek, AT.symmetric + 34, 0, 129),
    field: 'symmetric.keyBits',
    rule: 'bytes.known',
  },
  {
    name: 'an unknown cipher mode',
    bytes: patched(ek, AT.symmetric + 36, 0, 0x45),
    field: 'symmetric.mode',
    rule: 'bytes.known',
  },
  {
    name: 'an ECC scheme for RSA',
    bytes: patched(rsa, AT.scheme, 0, 0x18),
    field: 'scheme',
    rule: 'bytes.known',
  },
  {
    name: 'an RSA scheme for ECC',
    bytes: patched(ecc, AT.scheme, 0, 0x14),
    field: 'scheme',
    rule: 'bytes.known',
  },
  {
    name: 'a NULL hash in a scheme',
    bytes: patched(rsa, AT.schemeHash, 0, 0x10),
    field: 'scheme.hashAlg',
    rule: 'bytes.known',
  },
  {
    name: 'an RSA key of 2047 bits',
    bytes: patched(rsa, RSA.keyBits, 0x07, 0xff),
    field: 'keyBits',
    rule: 'bytes.known',
  },
  { name: 'a modulus shorter than keyBits', bytes: shortModulus(), field: 'unique', rule: 'bytes.bounds' },
  {
    name: 'a modulus longer than keyBits',
    bytes: patched(rsa, RSA.keyBits, 0x04, 0x00),
    field: 'unique',
    rule: 'bytes.bounds',
  },
  {
    name: 'a modulus with a leading zero bit',
    bytes: patched(rsa, RSA.modulus, 0x7f),
    field: 'unique',
    rule: 'bytes.bounds',
  },
  {
    name: 'an even modulus',
    bytes: patched(rsa, rsa.length - 1, 0x10),
    field: 'unique',
    rule: 'bytes.bounds',
  },
  {
    name: 'exponent 1',
    bytes: patched(rsa, RSA.exponent, 0, 0, 0, 1),
    field: 'exponent',
    rule: 'bytes.bounds',
  },
  {
    name: 'an even exponent',
    bytes: patched(rsa, RSA.exponent, 0, 1, 0, 0),
    field: 'exponent',
    rule: 'bytes.bounds',
  },
  { name: 'curve P-224', bytes: patched(ecc, ECC.curve, 0, 2), field: 'curveID', rule: 'bytes.known' },
  {
    name: 'an unknown key derivation',
    bytes: patched(ecc, ECC.kdf, 0, 0x30),
    field: 'kdf',
    rule: 'bytes.known',
  },
  {
    name: 'a coordinate without its leading zeros',
    bytes: shortCoordinate(),
    field: 'unique',
    rule: 'bytes.bounds',
  },
  {
    name: 'a point that is not on its curve',
    bytes: patched(ecc, ECC.x, (ecc[ECC.x] ?? 0) ^ 1),
    field: 'unique',
    rule: 'bytes.bounds',
  },
  { name: 'the point at zero', bytes: offCurve(new Uint8Array(32)), field: 'unique', rule: 'bytes.bounds' },
  {
    name: 'a coordinate over the field',
    bytes: offCurve(new Uint8Array(32).fill(0xff)),
    field: 'unique',
    rule: 'bytes.bounds',
  },
];

describe('a public area is refused', () => {
  for (const { name, bytes, field, rule } of refusals) {
    test(`${rule}: ${name}`, () => {
      expect(errorOf(() => parseTpmtPublic(bytes))).toMatchObject({ field: `TPMT_PUBLIC.${field}`, rule });
    });
  }

  test('bytes.bounds: a size that does not fit what is inside', () => {
    const bytes = Uint8Array.of(0, ecc.length, ...ecc);
    expect(parseTpm2bPublic(bytes)).toEqual(parseTpmtPublic(ecc));
    expect(() => parseTpm2bPublic(patched(bytes, 1, ecc.length - 1))).toThrow(ParseError);
    expect(() => parseTpm2bPublic(Uint8Array.of(0, ecc.length + 1, ...ecc, 0))).toThrow(/trailing/);
  });

  test('bytes.bounds: an x of the next P-521 field element is not reduced', () => {
    const { publicArea } = softwareEcc({}, 'p521');
    if (publicArea.type !== 'ecc') throw new Error('an ECC key expected');
    const prime = 2n ** 521n - 1n;
    const x = BigInt(`0x${toHex(publicArea.unique.x)}`) + prime;
    const unique = { ...publicArea.unique, x: unhex(x.toString(16).padStart(132, '0')) };
    expect(() => parseTpmtPublic(marshalTpmtPublic({ ...publicArea, unique }))).toThrow(ParseError);
  });
});

describe('the key of a public area', () => {
  test('is the same object each time, and the one that was made', () => {
    for (const { publicArea, privateKey } of [
      softwareEcc(),
      softwareEcc({}, 'p384'),
      softwareEcc({}, 'p521'),
      softwareRsa(),
    ]) {
      const expected = createPublicKey(privateKey);
      expect(publicKeyOf(publicArea)).toBe(publicKeyOf(publicArea));
      expect(publicKeyOf(publicArea).equals(expected)).toBe(true);
      expect(Buffer.from(spkiOf(publicArea))).toEqual(expected.export({ type: 'spki', format: 'der' }));
    }
  });

  test('has the exponent that is written, or 65537 for zero', () => {
    const { publicArea } = softwareRsa();
    const exponentOf = (exponent: number) =>
      publicKeyOf({ ...publicArea, exponent } as TpmtPublic).asymmetricKeyDetails?.publicExponent;
    expect([exponentOf(0), exponentOf(65537), exponentOf(3)]).toEqual([65537n, 65537n, 3n]);
  });

  test('does not exist for a template', () => {
    for (const template of Object.values(EK_TEMPLATES))
      expect(() => publicKeyOf(template)).toThrow(TypeError);
  });
});

function shortModulus(): Uint8Array {
  const bytes = patched(rsa, RSA.uniqueSize, 0, 0xff);
  return bytes.subarray(0, bytes.length - 1);
}

/** A point of the curve whose x begins with a zero byte, which OpenSSL would take with or without it. */
function shortCoordinate(): Uint8Array {
  const x = unhex('00e3b75cf6b71072262674e57fdd98967ce68bba421a3e40b92110114050debf');
  const y = unhex('c21a08db3701ec0ed44ffa3793d459ed87f27ed909734f77e45948b3c18e47e4');
  const publicArea = parseTpmtPublic(patched(patched(ecc, ECC.x, ...x), ECC.x + 32 + 2, ...y));
  if (publicArea.type !== 'ecc') throw new Error('an ECC key expected');
  return marshalTpmtPublic({ ...publicArea, unique: { x: x.subarray(1), y } });
}

function offCurve(x: Uint8Array): Uint8Array {
  return patched(ecc, ECC.x, ...x);
}

function errorOf(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was refused');
}
