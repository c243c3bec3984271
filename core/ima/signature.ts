import { Reader } from '../bytes/reader.ts';
import { IMA_HASH_ALGOS, type ImaHashAlgo } from './hash-algo.ts';

/** Types of `security.ima` and `security.evm` (enum evm_ima_xattr_type). */
const XATTR_TYPE = { DIGSIG: 3, PORTABLE: 5, VERITY: 6 } as const;

/** What a signature in an extended attribute is over. */
export type ImaSignatureKind =
  | 'file' // the digest of the file
  | 'evm' // the file's metadata, portable: without inode number and file system
  | 'verity'; // the fs-verity digest of the file

const KINDS: ReadonlyMap<number, ImaSignatureKind> = new Map([
  [XATTR_TYPE.DIGSIG, 'file'],
  [XATTR_TYPE.PORTABLE, 'evm'],
  [XATTR_TYPE.VERITY, 'verity'],
]);

/** A signature as the `sig` and `evmsig` fields carry it (struct signature_v2_hdr). */
export interface ImaSignature {
  readonly kind: ImaSignatureKind;
  /** Type of the attribute, which version 3 signs too. */
  readonly xattrType: number;
  /** 2: over the digest itself. 3: over the hash of ima_file_id, which says what the digest is of. */
  readonly version: 2 | 3;
  readonly hash: ImaHashAlgo;
  /** Last four bytes of the key's identifier, as a number. Names a key, does not prove it. */
  readonly keyId: number;
  readonly signature: Uint8Array;
}

const MAX_SIGNATURE_BYTES = 1024;

/**
 * Parses the contents of a `sig` or `evmsig` field. Checks form, no key.
 *
 * @throws {ParseError} for other types and versions, and unless the length in the header is that of the rest
 */
export function parseImaSignature(bytes: Uint8Array): ImaSignature {
  const reader: Reader = new Reader(bytes, 'ima.sig');
  const xattrType = reader.u8('type');
  const kind = KINDS.get(xattrType);
  if (kind === undefined) reader.fail('type', `${xattrType} is not that of a signature`, 'bytes.known');
  const version = reader.u8('version');
  if (version !== 2 && version !== 3) reader.fail('version', `is ${version}, 2 or 3 expected`, 'bytes.known');
  if (kind === 'verity' && version !== 3)
    reader.fail('version', 'of an fs-verity signature is 3', 'bytes.known');
  const algo = reader.u8('hash_algo');
  const hash = IMA_HASH_ALGOS[algo];
  if (hash === undefined) reader.fail('hash_algo', `${algo} is unknown`, 'bytes.known');
  const keyId = reader.u32('keyid');
  const signature = reader.sized16('sig', MAX_SIGNATURE_BYTES);
  reader.end();
  return { kind, xattrType, version, hash, keyId, signature };
}
