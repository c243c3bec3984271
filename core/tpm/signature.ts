import { constants, type KeyObject, verify } from 'node:crypto';
import { Reader } from '../bytes/reader.ts';
import { Writer } from '../bytes/writer.ts';
import { derSequence, derUnsigned } from '../x509/der-writer.ts';
import { readHash, readKnown } from './algorithm.ts';
import { type HashName, hashAlgOf, TPM_ALG } from './constants.ts';
import { MAX_ECC_BYTES } from './curve.ts';
import type { TpmtPublic } from './public.ts';

/** TPMS_SIGNATURE_RSASSA or _RSAPSS (Part 2, 11.3.1). */
export interface TpmsSignatureRsa {
  readonly type: 'rsassa' | 'rsapss';
  readonly hash: HashName;
  readonly sig: Uint8Array;
}

/** TPMS_SIGNATURE_ECDSA (11.3.2). TPMs differ in whether they strip leading zeros of the two numbers. */
export interface TpmsSignatureEcdsa {
  readonly type: 'ecdsa';
  readonly hash: HashName;
  readonly signatureR: Uint8Array;
  readonly signatureS: Uint8Array;
}

/** TPMT_SIGNATURE (11.3.4) of the schemes we verify. Its bytes identify nothing: others verify as well. */
export type TpmtSignature = TpmsSignatureRsa | TpmsSignatureEcdsa;

const ALGORITHMS = {
  rsassa: TPM_ALG.RSASSA,
  rsapss: TPM_ALG.RSAPSS,
  ecdsa: TPM_ALG.ECDSA,
} as const satisfies Record<TpmtSignature['type'], number>;

const TYPE_OF: ReadonlyMap<number, TpmtSignature['type']> = new Map([
  [ALGORITHMS.rsassa, 'rsassa'],
  [ALGORITHMS.rsapss, 'rsapss'],
  [ALGORITHMS.ecdsa, 'ecdsa'],
]);

const MAX_RSA_BYTES = 512;

/** @throws {ParseError} unless `bytes` is exactly one RSASSA, RSAPSS or ECDSA signature */
export function parseTpmtSignature(bytes: Uint8Array): TpmtSignature {
  const r = new Reader(bytes, 'TPMT_SIGNATURE');
  const signature = readTpmtSignature(r);
  r.end();
  return signature;
}

/** Reads a TPMT_SIGNATURE inside another structure. @throws {ParseError} as parseTpmtSignature */
export function readTpmtSignature(r: Reader): TpmtSignature {
  const type = readKnown(r, 'sigAlg', TYPE_OF);
  const hash = readHash(r, 'hash');
  if (type !== 'ecdsa') return { type, hash, sig: r.sized16('sig', MAX_RSA_BYTES) };
  const signatureR = r.sized16('signatureR', MAX_ECC_BYTES);
  return { type, hash, signatureR, signatureS: r.sized16('signatureS', MAX_ECC_BYTES) };
}

/** The bytes of a TPMT_SIGNATURE. */
export function marshalTpmtSignature(signature: TpmtSignature): Uint8Array {
  const w = new Writer().u16(ALGORITHMS[signature.type]).u16(hashAlgOf(signature.hash));
  if (signature.type === 'ecdsa') w.sized16(signature.signatureR).sized16(signature.signatureS);
  else w.sized16(signature.sig);
  return w.bytes();
}

/**
 * What makes a signature not of this key's kind, whether it verifies or not: another scheme or hash than
 * the key is bound to, or SHA-1. `undefined` when nothing does.
 *
 * A key with a NULL scheme may use any of its type. That such a key attests nothing is for
 * checkAttestationKey to say.
 */
export function signerMismatch(publicArea: TpmtPublic, signature: TpmtSignature): string | undefined {
  if (signature.hash === 'sha1') return 'the signature is over SHA-1, which is not accepted';
  const { scheme } = publicArea;
  if (scheme.type === signature.type && 'hash' in scheme && scheme.hash === signature.hash) return undefined;
  const got = `${signature.type} with ${signature.hash}`;
  if (scheme.type === 'null') {
    const fits = (signature.type === 'ecdsa') === (publicArea.type === 'ecc');
    return fits ? undefined : `the signature is ${got}, the key is of type ${publicArea.type}`;
  }
  const expected = 'hash' in scheme ? `${scheme.type} with ${scheme.hash}` : scheme.type;
  return `the signature is ${got}, the key signs ${expected}`;
}

/**
 * Whether `signature` is one of `key` over `message`. False also for SHA-1 and for the signature of
 * another type of key. Does not compare the scheme with the one the key is bound to: see signerMismatch.
 */
export function verifyTpmSignature(key: KeyObject, message: Uint8Array, signature: TpmtSignature): boolean {
  if (signature.hash === 'sha1') return false;
  if (signature.type === 'ecdsa') return typeOf(key) === 'ec' && verifyEcdsa(key, message, signature);
  if (typeOf(key) !== 'rsa') return false;
  if (signature.type === 'rsassa') return verify(signature.hash, message, key, signature.sig);
  // TPMs use a salt of the digest's size or the largest that fits, by their version (Part 1, B.7).
  const options = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_AUTO };
  return verify(signature.hash, message, { key, ...options }, signature.sig);
}

// Looking into a KeyObject costs as much as half a verification, and a verifier has the same ones at every quote.
const types = new WeakMap<KeyObject, string | undefined>();

function typeOf(key: KeyObject): string | undefined {
  const known = types.get(key);
  if (known !== undefined) return known;
  types.set(key, key.asymmetricKeyType);
  return key.asymmetricKeyType;
}

// As DER and with the bare key: for r and s of fixed length node:crypto wants options, and looks into them at length.
function verifyEcdsa(key: KeyObject, message: Uint8Array, signature: TpmsSignatureEcdsa): boolean {
  const { hash, signatureR, signatureS } = signature;
  return verify(hash, message, key, derSequence(derUnsigned(signatureR), derUnsigned(signatureS)));
}
