import type { KeyObject } from 'node:crypto';
import { DerReader } from '../x509/der.ts';
import { readInteger } from '../x509/der-values.ts';
import { addMultiple, CURVES, infinity, invert, type MultiplesTable, mod, multiplesOf } from './curve.ts';

/** A public key made ready to verify with. */
export interface EcdsaKey {
  readonly base: MultiplesTable;
  readonly point: MultiplesTable;
}

const bases = new Map<string, MultiplesTable>();

/** Prepares a key, in some milliseconds. `undefined` for a key that is not on P-256, P-384 or P-521. */
export function ecdsaKey(publicKey: KeyObject): EcdsaKey | undefined {
  const name = publicKey.asymmetricKeyDetails?.namedCurve ?? '';
  const curve = CURVES[name];
  if (curve === undefined) return undefined;
  // node:crypto has checked that the point is on its curve.
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const base = bases.get(name) ?? multiplesOf(curve, curve.base);
  bases.set(name, base);
  return { base, point: multiplesOf(curve, { x: fromBase64Url(x), y: fromBase64Url(y) }) };
}

/**
 * Verifies an ECDSA signature over a digest (FIPS 186-5, 6.4.2): node:crypto only verifies over messages that it hashes
 * itself, and of a file we have the digest alone.
 *
 * @param signature DER of ECDSA-Sig-Value
 * @throws {ParseError} when `signature` is not that
 */
export function verifyEcdsaDigest(
  { base, point }: EcdsaKey,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  const { n, p } = base.curve;
  const { r, s } = readSignature(signature);
  if (r <= 0n || r >= n || s <= 0n || s >= n) return false;
  const w = invert(s, n);
  const left = addMultiple(infinity(), base, (truncate(digest, n) * w) % n);
  const { X, Z } = addMultiple(left, point, (r * w) % n);
  if (Z === 0n) return false;
  // Instead of dividing X by Z²: r is the affine x modulo n, and x can be n larger.
  const zz = (Z * Z) % p;
  return mod(r * zz, p) === X || (r + n < p && mod((r + n) * zz, p) === X);
}

function readSignature(bytes: Uint8Array): { readonly r: bigint; readonly s: bigint } {
  const outer = DerReader.over(bytes, 'ECDSA-Sig-Value');
  const reader = outer.sequence('signature');
  const [r, s] = [readNumber(reader, 'r'), readNumber(reader, 's')];
  reader.end();
  outer.end();
  return { r, s };
}

function readNumber(reader: DerReader, field: string): bigint {
  const value = readInteger(reader, field);
  if ((value[0] ?? 0) >= 0x80) reader.fail(field, 'is negative');
  return toNumber(value);
}

/** The leftmost bits of the digest, as many as n has. */
function truncate(digest: Uint8Array, n: bigint): bigint {
  const excess = 8 * digest.length - n.toString(2).length;
  return excess > 0 ? toNumber(digest) >> BigInt(excess) : toNumber(digest);
}

function fromBase64Url(text: string): bigint {
  return toNumber(Buffer.from(text, 'base64url'));
}

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);
}
