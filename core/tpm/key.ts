import { createPublicKey, type KeyObject } from 'node:crypto';
import { Writer } from '../bytes/writer.ts';
import { CURVES, type EccCurve } from './curve.ts';
import type { EccPoint, TpmtPublic } from './public.ts';

const DEFAULT_EXPONENT = 65537;

// An import costs as much as a signature check, and public areas are immutable.
const imported = new WeakMap<TpmtPublic, KeyObject>();

/**
 * The key of a public area, for node:crypto. Imported once for each object, as JWK: for RSA that is many
 * times faster than from DER or PEM.
 *
 * @throws {TypeError} for a template, whose `unique` is no key
 */
export function publicKeyOf(publicArea: TpmtPublic): KeyObject {
  const known = imported.get(publicArea);
  if (known) return known;
  const key = importKey(publicArea);
  if (!key) throw new TypeError('this public area holds no key; was a template passed for one?');
  imported.set(publicArea, key);
  return key;
}

/** DER of the key's SubjectPublicKeyInfo (RFC 5280, 4.1.2.7). @throws {TypeError} as publicKeyOf */
export function spkiOf(publicArea: TpmtPublic): Uint8Array {
  return new Uint8Array(publicKeyOf(publicArea).export({ type: 'spki', format: 'der' }));
}

/** The key of a point; `undefined` when the coordinates are not those of a point of the curve. */
export function pointKey(curve: EccCurve, { x, y }: EccPoint): KeyObject | undefined {
  return importJwk({ kty: 'EC', crv: CURVES[curve].jwk, x: base64url(x), y: base64url(y) });
}

/** Whether a big-endian number has exactly that many bits, a multiple of 8. */
export function hasBits(number: Uint8Array, bits: number): boolean {
  return number.length === bits / 8 && (number[0] ?? 0) >= 0x80;
}

function importKey(publicArea: TpmtPublic): KeyObject | undefined {
  if (publicArea.type === 'ecc') return pointKey(publicArea.curve, publicArea.unique);
  // OpenSSL takes an empty or a zero modulus for a key.
  if (!hasBits(publicArea.unique, publicArea.keyBits)) return undefined;
  const e = new Writer().u32(publicArea.exponent === 0 ? DEFAULT_EXPONENT : publicArea.exponent).bytes();
  return importJwk({ kty: 'RSA', n: base64url(publicArea.unique), e: base64url(e) });
}

function importJwk(key: Record<string, string>): KeyObject | undefined {
  try {
    return createPublicKey({ key, format: 'jwk' });
  } catch {
    return undefined;
  }
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}
