import { createPublicKey, type KeyObject } from 'node:crypto';
import { Writer } from '../bytes/writer.ts';
import { CURVES } from './curve.ts';
import type { TpmtPublic, TpmtPublicEcc } from './public.ts';

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

/** Whether the coordinates, of the right length, are a point of the curve. */
export function isOnCurve(publicArea: TpmtPublicEcc): boolean {
  const key = importKey(publicArea);
  if (!key) return false;
  imported.set(publicArea, key);
  return true;
}

function importKey(publicArea: TpmtPublic): KeyObject | undefined {
  try {
    return createPublicKey({ key: jwkOf(publicArea), format: 'jwk' });
  } catch {
    return undefined;
  }
}

function jwkOf(publicArea: TpmtPublic): Record<string, string> {
  if (publicArea.type === 'rsa') {
    const e = new Writer().u32(publicArea.exponent === 0 ? DEFAULT_EXPONENT : publicArea.exponent).bytes();
    return { kty: 'RSA', n: base64url(publicArea.unique), e: base64url(e) };
  }
  const { x, y } = publicArea.unique;
  return { kty: 'EC', crv: CURVES[publicArea.curve].jwk, x: base64url(x), y: base64url(y) };
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}
