import { sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { publicKeyOf } from '../../../../core/tpm/key.ts';
import { parseTpm2bPublic } from '../../../../core/tpm/public.ts';
import {
  parseTpmtSignature,
  signerMismatch,
  type TpmtSignature,
  verifyTpmSignature,
} from '../../../../core/tpm/signature.ts';
import { signWith, softwareEcc, softwareRsa } from './software-key.ts';
import { loadVectors, patched, unhex, vector } from './vectors.ts';

const MESSAGE = new TextEncoder().encode('what was signed');
const ecc = softwareEcc();
const rsa = softwareRsa();

describe('verifyTpmSignature', () => {
  for (const hash of ['sha256', 'sha384', 'sha512'] as const) {
    for (const type of ['rsassa', 'rsapss'] as const) {
      test(`${type} with ${hash}`, () => {
        const signature = signWith(rsa, type, hash, MESSAGE);
        expect(verifyTpmSignature(publicKeyOf(rsa.publicArea), MESSAGE, signature)).toBe(true);
        const other = new TextEncoder().encode('what was not');
        expect(verifyTpmSignature(publicKeyOf(rsa.publicArea), other, signature)).toBe(false);
      });
    }
    for (const curve of ['p256', 'p384', 'p521'] as const) {
      test(`ecdsa on ${curve} with ${hash}`, () => {
        const key = softwareEcc({}, curve);
        const signature = signWith(key, 'ecdsa', hash, MESSAGE);
        expect(verifyTpmSignature(publicKeyOf(key.publicArea), MESSAGE, signature)).toBe(true);
        expect(verifyTpmSignature(publicKeyOf(ecc.publicArea), MESSAGE, signature)).toBe(false);
      });
    }
  }

  test('SHA-1 is refused, although it would verify', () => {
    for (const [key, type] of [
      [rsa, 'rsassa'],
      [rsa, 'rsapss'],
      [ecc, 'ecdsa'],
    ] as const) {
      const signature = signWith(key, type, 'sha1', MESSAGE);
      expect(verifyTpmSignature(publicKeyOf(key.publicArea), MESSAGE, signature)).toBe(false);
    }
  });

  test('a signature of the other type of key is false, not an error', () => {
    const [bySha256, byEcc] = [
      signWith(rsa, 'rsassa', 'sha256', MESSAGE),
      signWith(ecc, 'ecdsa', 'sha256', MESSAGE),
    ];
    expect(verifyTpmSignature(publicKeyOf(ecc.publicArea), MESSAGE, bySha256)).toBe(false);
    expect(verifyTpmSignature(publicKeyOf(rsa.publicArea), MESSAGE, byEcc)).toBe(false);
  });

  test('an ECDSA signature in DER does not pass for RSASSA', () => {
    const sig = sign('sha256', MESSAGE, ecc.privateKey);
    expect(
      verifyTpmSignature(publicKeyOf(ecc.publicArea), MESSAGE, { type: 'rsassa', hash: 'sha256', sig }),
    ).toBe(false);
  });

  test('RSASSA does not pass for RSAPSS, nor the other way round', () => {
    const key = publicKeyOf(rsa.publicArea);
    const rsassa = { ...signWith(rsa, 'rsassa', 'sha256', MESSAGE), type: 'rsapss' } as TpmtSignature;
    const rsapss = { ...signWith(rsa, 'rsapss', 'sha256', MESSAGE), type: 'rsassa' } as TpmtSignature;
    expect(verifyTpmSignature(key, MESSAGE, rsassa)).toBe(false);
    expect(verifyTpmSignature(key, MESSAGE, rsapss)).toBe(false);
  });
});

describe('the two numbers of an ECDSA signature', () => {
  const { attest, signature, akPublic } = vector(loadVectors('quote'), 'ecdsa-leading-zero-ok');
  const key = publicKeyOf(parseTpm2bPublic(unhex(akPublic)));
  const good = parseTpmtSignature(unhex(signature));
  if (good.type !== 'ecdsa') throw new Error('an ECDSA signature expected');
  const strip = (number: Uint8Array) => number.subarray(number.findIndex((byte) => byte !== 0));
  const pad = (number: Uint8Array, zeros: number) => Uint8Array.of(...new Uint8Array(zeros), ...number);
  const verify = (changes: Partial<typeof good>) =>
    verifyTpmSignature(key, unhex(attest), { ...good, ...changes });

  test('one of them begins with zero', () => {
    expect(good.signatureR[0] === 0 || good.signatureS[0] === 0).toBe(true);
  });

  test('verify with their leading zeros stripped, kept, or more of them', () => {
    const { signatureR, signatureS } = good;
    expect(verify({})).toBe(true);
    expect(verify({ signatureR: strip(signatureR), signatureS: strip(signatureS) })).toBe(true);
    expect(verify({ signatureR: pad(signatureR, 10), signatureS: pad(signatureS, 34) })).toBe(true);
  });

  test('do not verify when empty, zero, longer than the curve, or changed', () => {
    expect(verify({ signatureR: new Uint8Array() })).toBe(false);
    expect(verify({ signatureS: new Uint8Array(32) })).toBe(false);
    expect(verify({ signatureR: Uint8Array.of(1, ...pad(strip(good.signatureR), 1)) })).toBe(false);
    expect(verify({ signatureS: patched(good.signatureS, 31, (good.signatureS[31] ?? 0) ^ 1) })).toBe(false);
  });
});

describe('signerMismatch', () => {
  const sig = new Uint8Array(256);

  test('is silent for the scheme and the hash of the key', () => {
    expect(signerMismatch(rsa.publicArea, { type: 'rsassa', hash: 'sha256', sig })).toBeUndefined();
  });

  test('tells another scheme, another hash, SHA-1 and another type of key', () => {
    expect(signerMismatch(rsa.publicArea, { type: 'rsapss', hash: 'sha256', sig })).toMatch(/rsapss/);
    expect(signerMismatch(rsa.publicArea, { type: 'rsassa', hash: 'sha384', sig })).toMatch(/sha384/);
    const sha1 = softwareRsa({ scheme: { type: 'rsassa', hash: 'sha1' } }).publicArea;
    expect(signerMismatch(sha1, { type: 'rsassa', hash: 'sha1', sig })).toMatch(/SHA-1/);
    const ecdsa = { type: 'ecdsa', hash: 'sha256', signatureR: sig, signatureS: sig } as const;
    expect(signerMismatch(rsa.publicArea, ecdsa)).toMatch(/ecdsa/);
  });

  test('lets a key without a scheme sign with any of its type', () => {
    const free = softwareRsa({ scheme: { type: 'null' } }).publicArea;
    expect(signerMismatch(free, { type: 'rsapss', hash: 'sha512', sig })).toBeUndefined();
    const ecdsa = { type: 'ecdsa', hash: 'sha256', signatureR: sig, signatureS: sig } as const;
    expect(signerMismatch(free, ecdsa)).toMatch(/type rsa/);
  });
});

test('signatures that we do not verify are not read', () => {
  const bytes = unhex(vector(loadVectors('quote'), 'ecdsa-p256-ok').signature);
  for (const algorithm of [0x05, 0x10, 0x1a, 0x1b, 0x1c]) {
    expect(() => parseTpmtSignature(patched(bytes, 1, algorithm))).toThrow(/sigAlg/);
  }
  expect(() => parseTpmtSignature(patched(bytes, 3, 0x10))).toThrow(/hash/);
  expect(() => parseTpmtSignature(patched(bytes, 4, 0, 67))).toThrow(/limit of 66/);
});
