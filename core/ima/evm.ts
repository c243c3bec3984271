import { hash } from 'node:crypto';
import { concat } from '../bytes/writer.ts';
import { ParseError } from '../errors.ts';
import type { ImaDigest, ImaEntry } from './entry.ts';
import { u32At } from './fields.ts';
import { IMA_HASH_ALGOS } from './hash-algo.ts';
import type { ImaKeyring } from './key.ts';
import {
  type ImaSignatureMemo,
  type ImaSignatureVerdict,
  parsed,
  signedDigest,
  verifyFileSignature,
  verifyWith,
} from './verify.ts';

/** One extended attribute that an EVM signature covers. */
export interface EvmXattr {
  /** Such as `security.ima`. */
  readonly name: string;
  readonly value: Uint8Array;
}

const MAX_XATTRS = 32;
/** IMA_XATTR_DIGEST_NG: the attribute holds a digest: type, algorithm, digest. */
const XATTR_DIGEST_NG = 4;
const MISC_BYTES = 24;

/**
 * The attributes of an `evm-sig` entry, from its three fields about them.
 *
 * @throws {ParseError} when names, lengths and values do not fit each other
 */
export function evmXattrs(entry: ImaEntry): readonly EvmXattr[] {
  const names = namesOf(entry.fields.get('xattrnames') ?? new Uint8Array());
  const lengths = entry.fields.get('xattrlengths') ?? new Uint8Array();
  const values = entry.fields.get('xattrvalues') ?? new Uint8Array();
  if (lengths.length !== 4 * names.length || names.length > MAX_XATTRS) {
    throw new ParseError('ima.xattrlengths', 0, `${lengths.length} bytes for ${names.length} names`);
  }
  let at = 0;
  const xattrs = names.map((name, i) => {
    const end = at + u32At(lengths, 4 * i);
    if (end > values.length) throw new ParseError('ima.xattrvalues', at, `needs ${end - at} bytes`);
    const value = values.subarray(at, end);
    at = end;
    return { name, value };
  });
  if (at !== values.length)
    throw new ParseError('ima.xattrvalues', at, `${values.length - at} trailing bytes`);
  return xattrs;
}

/**
 * Checks the portable EVM signature of an `evm-sig` entry over attributes, owner and mode (evm_calc_hash). `good` only
 * when the `security.ima` that it covers is the digest of the entry or a good signature over it: otherwise it would say
 * nothing about the file's content.
 */
export function verifyEvmSignature(
  entry: ImaEntry,
  keyring: ImaKeyring,
  memo?: ImaSignatureMemo,
): ImaSignatureVerdict {
  const bytes = entry.fields.get('evmsig');
  if (bytes === undefined || bytes.length === 0) return { verdict: 'none' };
  const signature = parsed(bytes);
  if ('verdict' in signature) return signature;
  if (signature.kind !== 'evm') return { verdict: 'refused', why: 'it is over a file, not over metadata' };
  const isOfEntry = (ima: Uint8Array): boolean =>
    isDigest(ima, entry.digest) || verifyFileSignature(ima, entry.digest, keyring, memo).verdict === 'good';
  const covered = coveredBytes(entry, isOfEntry);
  if (typeof covered === 'string') return { verdict: 'refused', why: covered };
  const digest = new Uint8Array(hash(signature.hash.name, covered, 'buffer'));
  return verifyWith(keyring, signature, signedDigest(signature, digest), memo);
}

/** The bytes that the kernel hashes, or why there are none. */
function coveredBytes(entry: ImaEntry, isOfEntry: (ima: Uint8Array) => boolean): Uint8Array | string {
  try {
    const xattrs = evmXattrs(entry);
    const ima = xattrs.find(({ name }) => name === 'security.ima');
    if (ima === undefined) return 'it does not cover security.ima';
    if (!isOfEntry(ima.value)) return 'the security.ima that it covers does not fit the digest of the entry';
    const misc = miscOf(entry);
    return misc === undefined
      ? 'the template lacks owner or mode'
      : concat(...xattrs.map(({ value }) => value), misc);
  } catch (error) {
    if (error instanceof ParseError) return error.message;
    throw error;
  }
}

/** struct h_misc of a 64-bit kernel, with inode number and generation zero as in portable signatures. */
function miscOf({ fields }: ImaEntry): Uint8Array | undefined {
  const [uid, gid, mode] = [fields.get('iuid'), fields.get('igid'), fields.get('imode')];
  if (uid === undefined || gid === undefined || mode === undefined) return undefined;
  const misc = new Uint8Array(MISC_BYTES);
  misc.set(uid, 12);
  misc.set(gid, 16);
  misc.set(mode, 20);
  return misc;
}

function isDigest(xattr: Uint8Array, digest: ImaDigest | undefined): boolean {
  if (digest?.type !== 'ima' || xattr[0] !== XATTR_DIGEST_NG) return false;
  const algo = IMA_HASH_ALGOS[xattr[1] ?? IMA_HASH_ALGOS.length];
  return algo?.name === digest.algo && Buffer.compare(xattr.subarray(2), digest.value) === 0;
}

function namesOf(bytes: Uint8Array): readonly string[] {
  if (bytes.length === 0) return [];
  if (bytes.at(-1) !== 0) throw new ParseError('ima.xattrnames', 0, 'is not terminated by NUL');
  const names = Buffer.from(bytes.subarray(0, -1)).toString('latin1').split('|');
  if (new Set(names).size === names.length) return names;
  throw new ParseError('ima.xattrnames', 0, 'has a name twice', 'bytes.duplicates');
}
