import { fromHex } from '../bytes/encoding.ts';
import { ParseError } from '../errors.ts';
import { digestSize, hashNameOf, TPM_ALG } from '../tpm/constants.ts';
import { OTHER_HASHES } from './bank-names.ts';
import type { EventDigest, LogBank } from './event.ts';

/** A JSON object whose fields are yet to be looked at. */
export type JsonFields = Readonly<Record<string, unknown>>;

/** @throws {ParseError} unless `value` is a JSON object */
export function fieldsOf(value: unknown, name: string, offset: number): JsonFields {
  if (!isObject(value)) throw new ParseError(name, offset, 'is not a JSON object');
  return value;
}

function isObject(value: unknown): value is JsonFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A whole number from 0 to 2^32 - 1. @throws {ParseError} for anything else */
export function readUint(fields: JsonFields, name: string, offset: number): number {
  const value = fields[name];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 0xffffffff) {
    throw new ParseError(`record.${name}`, offset, 'is not a whole number of 32 bits');
  }
  return value;
}

/** A string that may be left out. @throws {ParseError} when it is something else */
export function readText(fields: JsonFields, name: string, offset: number): string | undefined {
  const value = fields[name];
  if (value === undefined || typeof value === 'string') return value;
  throw new ParseError(`content.${name}`, offset, 'is not a string');
}

// Names of the TCG Algorithm Registry in lower case, and with a hyphen or an underscore.
const ALGORITHMS: ReadonlyMap<string, LogBank> = new Map([
  ['sha1', bank(TPM_ALG.SHA1, 20)],
  ['sha256', bank(TPM_ALG.SHA256, 32)],
  ['sha384', bank(TPM_ALG.SHA384, 48)],
  ['sha512', bank(TPM_ALG.SHA512, 64)],
  ...Object.entries(OTHER_HASHES).map(([name, { alg, bytes }]) => [name, bank(alg, bytes)] as const),
]);

function bank(alg: number, bytes: number): LogBank {
  const hash = hashNameOf(alg);
  return { alg, hash, digestBytes: hash === undefined ? bytes : digestSize(hash) };
}

/** `digests` of a record; notes their banks. @throws {ParseError} for an algorithm that is unknown or there twice */
export function readDigests(
  fields: JsonFields,
  offset: number,
  banks: Map<number, LogBank>,
): readonly EventDigest[] {
  const { digests } = fields;
  if (!Array.isArray(digests) || digests.length > ALGORITHMS.size) {
    throw new ParseError('record.digests', offset, `is not an array of at most ${ALGORITHMS.size}`);
  }
  const found: EventDigest[] = [];
  for (const value of digests) {
    const one = readDigest(fieldsOf(value, 'record.digests', offset), offset);
    if (found.some(({ bank: { alg } }) => alg === one.bank.alg)) {
      throw new ParseError('digests.hashAlg', offset, 'is there twice', 'bytes.duplicates');
    }
    banks.set(one.bank.alg, one.bank);
    found.push(one);
  }
  return found;
}

function readDigest({ hashAlg, digest }: JsonFields, offset: number): EventDigest {
  if (typeof hashAlg !== 'string' || typeof digest !== 'string') {
    throw new ParseError('record.digests', offset, 'has no hashAlg and digest');
  }
  const bank = ALGORITHMS.get(hashAlg.toLowerCase().replace('_', '-'));
  if (bank === undefined) {
    throw new ParseError('digests.hashAlg', offset, 'is not a hash algorithm', 'bytes.known');
  }
  if (digest.length !== 2 * bank.digestBytes) {
    const problem = `has ${digest.length} characters, ${2 * bank.digestBytes} expected`;
    throw new ParseError('digests.digest', offset, problem);
  }
  return { bank, digest: readHex(digest, 'digests.digest', offset) };
}

/** @throws {ParseError} unless `text` is hexadecimal, at the offset of the record */
export function readHex(text: string, name: string, offset: number): Uint8Array {
  try {
    return fromHex(text, name);
  } catch {
    throw new ParseError(name, offset, 'is not hexadecimal');
  }
}
