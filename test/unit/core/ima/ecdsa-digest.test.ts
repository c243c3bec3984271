import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ParseError } from '../../../../core/errors.ts';
import { type EcdsaKey, ecdsaKey, verifyEcdsaDigest } from '../../../../core/ima/ecdsa-digest.ts';
import { derSequence, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { utf8 } from './vectors.ts';

function prepared(publicKey: Parameters<typeof ecdsaKey>[0]): EcdsaKey {
  return ecdsaKey(publicKey) ?? expect.unreachable('the curve is known');
}

const curves = [
  { curve: 'P-256', hashes: ['sha256', 'sha512'] },
  { curve: 'P-384', hashes: ['sha384', 'sha256'] },
  { curve: 'P-521', hashes: ['sha512', 'sha256'] },
] as const;

describe.each(curves)('ECDSA over digests on $curve', ({ curve, hashes }) => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: curve });
  const key = prepared(publicKey);
  const other = prepared(generateKeyPairSync('ec', { namedCurve: curve }).publicKey);

  test('what OpenSSL signs is good, and nothing close to it is', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.constantFrom(...hashes),
        fc.nat(100),
        (message, hash, bit) => {
          const signature = sign(hash, message, privateKey);
          const digest = Uint8Array.from(createHash(hash).update(message).digest());
          expect(verifyEcdsaDigest(key, digest, signature)).toBe(true);
          expect(verifyEcdsaDigest(other, digest, signature)).toBe(false);
          digest[bit >> 3] = (digest[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          expect(verifyEcdsaDigest(key, digest, signature)).toBe(false);
        },
      ),
      { numRuns: 15 },
    );
  });

  test('r and s are between 0 and the order', () => {
    const n = key.base.curve.n.toString(16);
    const order = new Uint8Array(Buffer.from(n.length % 2 === 0 ? n : `0${n}`, 'hex'));
    const one = Uint8Array.of(1);
    const digest = new Uint8Array(32);
    for (const [r, s] of [
      [Uint8Array.of(0), one],
      [one, Uint8Array.of(0)],
      [order, one],
      [one, order],
      [one, one],
    ]) {
      const signature = derSequence(derUnsigned(r ?? one), derUnsigned(s ?? one));
      expect(verifyEcdsaDigest(key, digest, signature)).toBe(false);
    }
  });

  test('a signature has one form: s is not taken modulo the order', () => {
    const message = utf8('x');
    const digest = new Uint8Array(createHash('sha256').update(message).digest());
    const rs = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const [r, s] = [rs.subarray(0, rs.length / 2), rs.subarray(rs.length / 2)];
    const more = (BigInt(`0x${s.toString('hex')}`) + key.base.curve.n).toString(16);
    const larger = Buffer.from(more.length % 2 === 0 ? more : `0${more}`, 'hex');
    expect(verifyEcdsaDigest(key, digest, derSequence(derUnsigned(r), derUnsigned(s)))).toBe(true);
    expect(verifyEcdsaDigest(key, digest, derSequence(derUnsigned(r), derUnsigned(larger)))).toBe(false);
  });

  test('a signature that is not DER is refused', () => {
    const signature = sign('sha256', utf8('x'), privateKey);
    const digest = new Uint8Array(32);
    expect(() => verifyEcdsaDigest(key, digest, signature.subarray(1))).toThrow(ParseError);
    expect(() => verifyEcdsaDigest(key, digest, Buffer.concat([signature, Buffer.of(0)]))).toThrow(
      ParseError,
    );
  });
});

test('a negative r is refused as what it is', () => {
  const key = prepared(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
  const negative = derSequence(Uint8Array.of(2, 1, 0xff), derUnsigned(Uint8Array.of(1)));
  expect(() => verifyEcdsaDigest(key, new Uint8Array(32), negative)).toThrow('is negative');
});

test('keys on other curves are not prepared', () => {
  expect(ecdsaKey(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey)).toBeUndefined();
  expect(ecdsaKey(generateKeyPairSync('ed25519').publicKey)).toBeUndefined();
});
