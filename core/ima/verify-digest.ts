import { constants, publicDecrypt } from 'node:crypto';
import { concat } from '../bytes/writer.ts';
import { ParseError } from '../errors.ts';
import { type EcdsaKey, ecdsaKey, verifyEcdsaDigest } from './ecdsa-digest.ts';
import type { ImaKey } from './key.ts';

/** Last octet of the NIST OID 2.16.840.1.101.3.4.2.x of the hashes that a signature may be made with. */
const HASH_OID_TAIL: ReadonlyMap<string, number> = new Map([
  ['sha256', 1],
  ['sha384', 2],
  ['sha512', 3],
  ['sha3-256', 8],
  ['sha3-384', 9],
  ['sha3-512', 10],
]);

/** Whether signatures over digests of this algorithm are accepted: SHA-1 and what is not stronger are not. */
export function isSigningHash(name: string): boolean {
  return HASH_OID_TAIL.has(name);
}

const prepared = new WeakMap<ImaKey, EcdsaKey>();

/**
 * Whether `key` signed `digest` itself: RSASSA-PKCS1-v1_5 (RFC 8017, 8.2.2, from step 2) or ECDSA.
 *
 * @param hash the digest's algorithm, as the kernel names it; one of isSigningHash
 */
export function verifyDigest(key: ImaKey, hash: string, digest: Uint8Array, signature: Uint8Array): boolean {
  if (!isSigningHash(hash)) return false;
  switch (key.publicKey.asymmetricKeyType) {
    case 'rsa':
      return verifyRsa(key, digestInfo(hash, digest), signature);
    case 'ec':
      return verifyEcdsa(key, digest, signature);
    default:
      return false;
  }
}

function verifyRsa({ publicKey }: ImaKey, expected: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) / 8) return false;
  try {
    const found = publicDecrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, signature);
    // All of it is compared, so nothing can hide behind a digest or in its parameters.
    return found.equals(expected);
  } catch {
    return false;
  }
}

function verifyEcdsa(key: ImaKey, digest: Uint8Array, signature: Uint8Array): boolean {
  const ready = prepared.get(key) ?? ecdsaKey(key.publicKey);
  if (ready === undefined) return false;
  prepared.set(key, ready);
  try {
    return verifyEcdsaDigest(ready, digest, signature);
  } catch (error) {
    if (error instanceof ParseError) return false;
    throw error;
  }
}

/** DER of DigestInfo (RFC 8017, 9.2). */
function digestInfo(hash: string, digest: Uint8Array): Uint8Array {
  const tail = HASH_OID_TAIL.get(hash) ?? 0;
  const algorithm = [0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, tail, 5, 0];
  const header = [0x30, algorithm.length + 2 + digest.length, ...algorithm, 4, digest.length];
  return concat(Uint8Array.from(header), digest);
}
