import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { Certificate } from '../../core/x509/certificate.ts';

const generate = promisify(generateKeyPair);
const signInPool = promisify(
  (data: Uint8Array, key: KeyObject, done: (error: Error | null, signature: Uint8Array) => void) =>
    sign('sha256', data, { key, dsaEncoding: 'der' }, done),
);

/** Curves that we make keys on. */
export const CURVE_NAMES = { p256: 'P-256', p384: 'P-384' } as const;
export type KeyCurve = keyof typeof CURVE_NAMES;

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/**
 * Signs the DER of a TBS part: ECDSA over its SHA-256, as DER (Ecdsa-Sig-Value) or as r and s of fixed length, one
 * behind the other. The key may be here, in a TPM, or in another process.
 */
export type SignTbs = (tbs: Uint8Array) => Promise<Uint8Array>;

/** A CA that can sign. */
export interface SigningCa {
  readonly certificate: Certificate;
  readonly sign: SignTbs;
}

export function createKeyPair(curve: KeyCurve): Promise<KeyPair> {
  return generate('ec', { namedCurve: CURVE_NAMES[curve] });
}

/** Signs with a key that we hold. */
export function signWith(privateKey: KeyObject): SignTbs {
  return (tbs) => signInPool(tbs, privateKey);
}

/** A CA from its certificate and its key. @throws {RangeError} when the two do not belong together */
export function signingCa(certificate: Certificate, privateKey: KeyObject | string): SigningCa {
  const key = typeof privateKey === 'string' ? createPrivateKey(privateKey) : privateKey;
  if (!certificate.publicKey.equals(createPublicKey(key))) {
    throw new RangeError(`the private key is not that of ${certificate.subject.text}`);
  }
  return { certificate, sign: signWith(key) };
}

/** A positive serial number of 16 bytes (RFC 5280, 4.1.2.2) that no one can guess. */
export function randomSerial(random: (size: number) => Uint8Array = randomBytes): Uint8Array {
  const serial = Uint8Array.from(random(16));
  // Neither negative nor with a leading zero byte: all serial numbers have one length.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}
