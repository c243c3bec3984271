import { ParseError, type ParseRule } from '../errors.ts';
import { IMA_HASH_ALGOS, imaHashAlgo } from './hash-algo.ts';
import { IMA_FLAG, type ImaColumns, type ImaList, NO_ALGO } from './list.ts';
import type { ImaField, ImaTemplate } from './template.ts';

/** Where the fields of one entry are written to. */
interface Row {
  readonly columns: ImaColumns;
  readonly index: number;
}

const SHA1 = imaHashAlgo('sha1')?.id ?? NO_ALGO;
const MD5 = imaHashAlgo('md5')?.id ?? NO_ALGO;
const LEGACY_DIGEST_BYTES = 20;
// IMA_EVENT_NAME_LEN_MAX; the hash of a legacy entry covers the name padded to one byte more.
const LEGACY_NAME_BYTES = 255;
const COLON = 0x3a;
// `verity:streebog256:` is the longest.
const MAX_PREFIX_BYTES = 24;

/** Reads u32 in the byte order of the lists (little-endian). The caller has checked that four bytes are there. */
export function u32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16)) +
    (bytes[at + 3] ?? 0) * 0x1000000
  );
}

/** @throws {ParseError} always */
export function failEntry(
  index: number,
  field: string,
  at: number,
  problem: string,
  rule?: ParseRule,
): never {
  throw new ParseError(`ima[${index}].${field}`, at, problem, rule);
}

/**
 * Walks the template data of an entry, checks how it is framed and notes where digest and name are.
 *
 * @throws {ParseError} when fields do not fill the data exactly or are not of their kind
 */
export function scanFields(bytes: Uint8Array, end: number, template: ImaTemplate, row: Row): void {
  let at = row.columns.data[row.index] ?? 0;
  for (const field of template.fields) {
    if (end - at < 4) failEntry(row.index, field.id, at, `needs a length of 4 bytes, ${end - at} left`);
    const length = u32At(bytes, at);
    at += 4;
    if (length > end - at) failEntry(row.index, field.id, at, `needs ${length} bytes, ${end - at} left`);
    scanField(bytes, at, length, field, row);
    at += length;
  }
  if (at !== end) failEntry(row.index, 'template_data', at, `${end - at} bytes behind the last field`);
}

/** Fields of a legacy `ima` entry from `at`: a bare SHA-1, then a length and a name without NUL. Returns their end. */
export function scanLegacyFields(bytes: Uint8Array, at: number, row: Row): number {
  const name = at + LEGACY_DIGEST_BYTES + 4;
  if (name > bytes.length) {
    failEntry(
      row.index,
      'd',
      at,
      `needs ${name - at} bytes for digest and length, ${bytes.length - at} left`,
    );
  }
  const length = u32At(bytes, name - 4);
  if (length > LEGACY_NAME_BYTES) {
    failEntry(row.index, 'n', name - 4, `length ${length} is over the limit of ${LEGACY_NAME_BYTES}`);
  }
  if (length > bytes.length - name) {
    failEntry(row.index, 'n', name, `needs ${length} bytes, ${bytes.length - name} left`);
  }
  noteDigest(at, LEGACY_DIGEST_BYTES, SHA1, row);
  noteName(bytes, name, length, row, 'n');
  return name + length;
}

/** What the kernel hashes for a legacy entry: its digest, and its name filled up to 256 bytes, without lengths. */
export function legacyHashedData({ bytes, columns }: ImaList, index: number): Uint8Array {
  const data = columns.data[index] ?? 0;
  const hashed = new Uint8Array(LEGACY_DIGEST_BYTES + LEGACY_NAME_BYTES + 1);
  hashed.set(bytes.subarray(data, data + LEGACY_DIGEST_BYTES));
  hashed.set(bytes.subarray(data + LEGACY_DIGEST_BYTES + 4, columns.start[index + 1]), LEGACY_DIGEST_BYTES);
  return hashed;
}

function scanField(bytes: Uint8Array, at: number, length: number, field: ImaField, row: Row): void {
  switch (field.kind) {
    case 'digest-ng':
    case 'digest-ngv2':
      if (length !== 0 || !field.optional) scanDigest(bytes, at, length, field, row);
      return;
    case 'name':
      if (length === 0 || bytes[at + length - 1] !== 0) {
        failEntry(row.index, field.id, at, 'is not terminated by NUL');
      }
      noteName(bytes, at, length - 1, row, field.id);
      return;
    case 'digest':
      scanBareDigest(at, length, row);
      return;
    case 'uint':
      if (length !== field.sizeBytes) {
        failEntry(row.index, field.id, at, `has ${length} bytes, ${field.sizeBytes} expected`);
      }
      return;
    default:
      return;
  }
}

function scanBareDigest(at: number, length: number, row: Row): void {
  if (length !== 16 && length !== 20) failEntry(row.index, 'd', at, `has ${length} bytes, 16 or 20 expected`);
  noteDigest(at, length, length === 20 ? SHA1 : MD5, row);
}

/** `sha256:\0…`: nearly every entry of nearly every list, so it is known by two numbers. */
const SHA256_HEAD = 0x32616873;
const SHA256_TAIL = 0x003a3635;
const SHA256_ID = imaHashAlgo('sha256')?.id ?? NO_ALGO;

function scanDigest(bytes: Uint8Array, at: number, length: number, field: ImaField, row: Row): void {
  if (
    field.kind === 'digest-ng' &&
    length === 40 &&
    u32At(bytes, at) === SHA256_HEAD &&
    u32At(bytes, at + 4) === SHA256_TAIL
  ) {
    noteDigest(at + 8, 32, SHA256_ID, row, field);
    return;
  }
  const terminator = bytes.subarray(at, at + Math.min(length, MAX_PREFIX_BYTES)).indexOf(0);
  if (terminator < 1 || bytes[at + terminator - 1] !== COLON) {
    failEntry(row.index, field.id, at, 'does not start with the name of an algorithm, a colon and NUL');
  }
  const prefix = String.fromCharCode(...bytes.subarray(at, at + terminator - 1));
  const parts = prefix.split(':');
  const algo = imaHashAlgo(parts.at(-1) ?? '');
  if (algo === undefined || parts.length !== (field.kind === 'digest-ng' ? 1 : 2)) {
    failEntry(row.index, field.id, at, 'names no digest algorithm that is known', 'bytes.known');
  }
  if (parts.length === 2) noteType(parts[0] ?? '', at, field, row);
  const size = length - terminator - 1;
  // Kernels before 6.1 leave room for a SHA-1 where a violation has no digest.
  const expected = isViolation(row) && size === LEGACY_DIGEST_BYTES ? size : algo.sizeBytes;
  if (size !== expected) {
    failEntry(row.index, field.id, at, `has a digest of ${size} bytes, ${algo.name} has ${algo.sizeBytes}`);
  }
  noteDigest(at + terminator + 1, size, algo.id, row, field);
}

function noteType(type: string, at: number, field: ImaField, { columns, index }: Row): void {
  if (type === 'verity') columns.flags[index] = (columns.flags[index] ?? 0) | IMA_FLAG.VERITY;
  else if (type !== 'ima')
    failEntry(index, field.id, at, 'is a digest of a type that is unknown', 'bytes.known');
}

function isViolation({ columns, index }: Row): boolean {
  return ((columns.flags[index] ?? 0) & IMA_FLAG.VIOLATION) !== 0;
}

function noteDigest(at: number, size: number, algo: number, row: Row, field?: ImaField): void {
  // d-modsig is a digest of the same file without its appended signature: never the one to look up.
  if (field?.optional || isViolation(row) || IMA_HASH_ALGOS[algo]?.sizeBytes !== size) return;
  row.columns.digest[row.index] = at;
  row.columns.digestAlgo[row.index] = algo;
}

function noteName(bytes: Uint8Array, at: number, length: number, row: Row, field: string): void {
  for (let i = at; i < at + length; i++) {
    if (bytes[i] === 0) failEntry(row.index, field, i, 'has a NUL inside');
  }
  row.columns.name[row.index] = at;
  row.columns.nameLength[row.index] = length;
}
