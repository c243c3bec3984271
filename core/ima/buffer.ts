import { hash } from 'node:crypto';
import { equalBytes } from '../bytes/encoding.ts';
import { ParseError } from '../errors.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import type { ImaDigest, ImaEntry } from './entry.ts';

/** What a measured buffer is. What a value means, and whether it may be so, is the policy's. */
export type ImaBufferContent =
  /** A key that was added to the keyring of the entry's name. Learned, not trusted: anyone may fill some keyrings. */
  | { readonly type: 'key'; readonly keyring: string; readonly certificate: Certificate }
  /** `kexec-cmdline`: the command line of the kernel that was loaded to be started next. */
  | { readonly type: 'kexec-cmdline'; readonly text: string }
  /** Events of the device mapper, such as `dm_table_load`. */
  | { readonly type: 'device-mapper'; readonly event: string; readonly records: readonly DmRecord[] }
  /** Critical data that is text, such as `kernel_version` and `selinux-state`. */
  | { readonly type: 'text'; readonly name: string; readonly text: string }
  /** Critical data that the kernel hashed first, such as `selinux-policy-hash`. */
  | { readonly type: 'hash'; readonly name: string; readonly value: Uint8Array }
  | { readonly type: 'bytes' };

/** Fields of one record, in order. A name may stand twice. */
export type DmRecord = readonly (readonly [name: string, value: string])[];

/** The contents of an `ima-buf` entry. */
export interface ImaBuffer {
  /** As it stands in the entry: the keyring, event or kind. */
  readonly name: Uint8Array;
  readonly value: Uint8Array;
  readonly content: ImaBufferContent;
}

const TEXTS = new Set(['kernel_version', 'selinux-state']);
const HASHES = new Set(['selinux-policy-hash']);
const MAX_DM_FIELDS = 4096;

/**
 * The buffer of an entry whose template has one. `undefined` unless the digest of the entry is that of the buffer: else
 * the buffer is not what was measured (rule `ima.keys`), and nothing in it may be used.
 */
export function imaBuffer(entry: ImaEntry): ImaBuffer | undefined {
  const value = entry.fields.get('buf');
  if (value === undefined || !isDigestOf(entry.digest, value)) return undefined;
  return { name: entry.name, value, content: contentOf(Buffer.from(entry.name).toString('latin1'), value) };
}

/** Which hashes of node:crypto are the kernel's of the same name; others leave a buffer unverified. */
const VERIFIABLE = new Set([
  'sha1',
  'sha256',
  'sha384',
  'sha512',
  'sha224',
  'sha3-256',
  'sha3-384',
  'sha3-512',
]);

function isDigestOf(digest: ImaDigest | undefined, value: Uint8Array): boolean {
  if (digest?.type !== 'ima' || !VERIFIABLE.has(digest.algo)) return false;
  return equalBytes(hash(digest.algo, value, 'buffer'), digest.value);
}

function contentOf(name: string, value: Uint8Array): ImaBufferContent {
  if (name === 'kexec-cmdline') return { type: 'kexec-cmdline', text: textOf(value) };
  if (TEXTS.has(name)) return { type: 'text', name, text: textOf(value) };
  if (HASHES.has(name)) return { type: 'hash', name, value };
  if (name.startsWith('dm_')) {
    const records = parseDmRecords(textOf(value));
    return records === undefined ? { type: 'bytes' } : { type: 'device-mapper', event: name, records };
  }
  const certificate = certificateOf(value);
  return certificate === undefined ? { type: 'bytes' } : { type: 'key', keyring: name, certificate };
}

/** Bytes as text, one character each: the kernel's own texts are ASCII, and others must not change. */
function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString('latin1');
}

// The kernel measures whatever was added; what is no certificate is no key that could be learned.
function certificateOf(value: Uint8Array): Certificate | undefined {
  try {
    return parseCertificate(value);
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}

/**
 * Records of a device mapper event (Documentation/admin-guide/device-mapper/dm-ima.rst): `name=value,…;` with `\`
 * before separators that belong to a value.
 */
function parseDmRecords(text: string): readonly DmRecord[] | undefined {
  const records: DmRecord[] = [];
  let fields = 0;
  for (const record of splitUnescaped(text, ';')) {
    const parts = splitUnescaped(record, ',').filter((part) => part !== '');
    fields += parts.length;
    if (fields > MAX_DM_FIELDS) return undefined;
    if (parts.length > 0) records.push(parts.map(readDmField));
  }
  return records;
}

function readDmField(part: string): readonly [name: string, value: string] {
  const [name = '', ...rest] = splitUnescaped(part, '=');
  return [unescaped(name), unescaped(rest.join('='))];
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, '$1');
}

function splitUnescaped(text: string, separator: string): readonly string[] {
  const parts: string[] = [];
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '\\') i++;
    else if (text[i] === separator) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  return [...parts, text.slice(start)];
}
