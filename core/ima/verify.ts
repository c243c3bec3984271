import { hash } from 'node:crypto';
import { concat } from '../bytes/writer.ts';
import { ParseError } from '../errors.ts';
import type { ImaDigest, ImaEntry } from './entry.ts';
import { imaHashAlgo } from './hash-algo.ts';
import type { ImaKey, ImaKeyring } from './key.ts';
import { type ImaSignature, parseImaSignature } from './signature.ts';
import { isSigningHash, verifyDigest } from './verify-digest.ts';

/** What is known about a signature in an entry. Only `good` means anything, and only for the key that is named. */
export type ImaSignatureVerdict =
  | { readonly verdict: 'none' }
  | { readonly verdict: 'good'; readonly key: ImaKey }
  /** A key of the ring has the id, but did not make the signature. */
  | { readonly verdict: 'bad'; readonly keyId: string }
  | { readonly verdict: 'unknown-key'; readonly keyId: string }
  /** It cannot be checked, or must not count whoever made it. */
  | { readonly verdict: 'refused'; readonly why: string };

/** Good results, so that the same file of many nodes is verified once. Safe to share: it holds nothing a node says. */
export interface ImaSignatureMemo {
  has(result: string): boolean;
  add(result: string): void;
}

/**
 * Checks the file signature of an entry (the `sig` field, from `security.ima`) against its file digest.
 *
 * @param keyring keys to trust; which paths each may sign for is for the caller to decide
 */
export function verifyImaSignature(
  entry: ImaEntry,
  keyring: ImaKeyring,
  memo?: ImaSignatureMemo,
): ImaSignatureVerdict {
  const bytes = entry.fields.get('sig');
  if (bytes === undefined || bytes.length === 0) return { verdict: 'none' };
  return verifyFileSignature(bytes, entry.digest, keyring, memo);
}

/** The same for the contents of a `security.ima` and a digest, wherever they stand. */
export function verifyFileSignature(
  xattr: Uint8Array,
  digest: ImaDigest | undefined,
  keyring: ImaKeyring,
  memo?: ImaSignatureMemo,
): ImaSignatureVerdict {
  if (digest === undefined) return { verdict: 'refused', why: 'there is no digest that it could be over' };
  const signature = parsed(xattr);
  if ('verdict' in signature) return signature;
  const problem = fileProblem(signature, digest);
  if (problem !== undefined) return { verdict: 'refused', why: problem };
  return verifyWith(keyring, signature, signedDigest(signature, digest.value), memo);
}

/** A set of good results that forgets the oldest. @param capacity number of results, of about 100 bytes each */
export function imaSignatureMemo(capacity: number): ImaSignatureMemo {
  const results = new Set<string>();
  return {
    has: (result) => results.has(result),
    add: (result) => {
      results.add(result);
      if (results.size <= capacity) return;
      for (const oldest of results) {
        results.delete(oldest);
        return;
      }
    },
  };
}

/** Tries the keys that a signature names. @param digest what was signed, by the signature's hash */
export function verifyWith(
  keyring: ImaKeyring,
  { keyId, hash: algo, signature }: ImaSignature,
  digest: Uint8Array,
  memo?: ImaSignatureMemo,
): ImaSignatureVerdict {
  const id = keyId.toString(16).padStart(8, '0');
  const keys = keyring.byId(keyId);
  if (keys.length === 0) return { verdict: 'unknown-key', keyId: id };
  const key = keys.find((candidate) => verifyOnce(candidate, algo.name, digest, signature, memo));
  return key === undefined ? { verdict: 'bad', keyId: id } : { verdict: 'good', key };
}

/** A signature field, or why it cannot be used. */
export function parsed(
  bytes: Uint8Array,
): ImaSignature | Extract<ImaSignatureVerdict, { verdict: 'refused' }> {
  try {
    const signature = parseImaSignature(bytes);
    if (isSigningHash(signature.hash.name)) return signature;
    return {
      verdict: 'refused',
      why: `it is made with ${signature.hash.name}, SHA-256 or better is expected`,
    };
  } catch (error) {
    if (error instanceof ParseError) return { verdict: 'refused', why: error.message };
    throw error;
  }
}

/** What a signature signs, given the digest it is about: version 3 says what that digest is of (struct ima_file_id). */
export function signedDigest(
  { version, xattrType, hash: algo }: ImaSignature,
  digest: Uint8Array,
): Uint8Array {
  if (version === 2) return digest;
  return new Uint8Array(hash(algo.name, concat(Uint8Array.of(xattrType, algo.id), digest), 'buffer'));
}

function fileProblem({ kind, hash: algo }: ImaSignature, digest: ImaDigest): string | undefined {
  if (kind === 'evm') return 'it is over metadata, not over a file';
  if ((kind === 'verity') !== (digest.type === 'verity')) {
    return `it is over ${kind === 'verity' ? 'an fs-verity' : 'a file'} digest, the entry has the other kind`;
  }
  if (algo.name === digest.algo) return undefined;
  return `it is over a ${algo.name}, the entry has a ${digest.algo}`;
}

function verifyOnce(
  key: ImaKey,
  algo: string,
  digest: Uint8Array,
  signature: Uint8Array,
  memo?: ImaSignatureMemo,
): boolean {
  if (memo === undefined) return verifyDigest(key, algo, digest, signature);
  const result = resultName(key, algo, digest, signature);
  if (memo.has(result)) return true;
  const good = verifyDigest(key, algo, digest, signature);
  // Bad results are not kept, or a node could fill the memo with inventions.
  if (good) memo.add(result);
  return good;
}

function resultName(key: ImaKey, algo: string, digest: Uint8Array, signature: Uint8Array): string {
  const id = imaHashAlgo(algo)?.id ?? 0;
  // The digest's length follows from its algorithm, so no two results have the same bytes.
  return hash(
    'sha256',
    concat(Buffer.from(key.fingerprint, 'hex'), Uint8Array.of(id), digest, signature),
    'hex',
  );
}
