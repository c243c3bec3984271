import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { fromHex } from '../../../../core/bytes/encoding.ts';
import { concat, Writer } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import { type ImaEntry, imaEntry } from '../../../../core/ima/entry.ts';
import type { ImaKey } from '../../../../core/ima/key.ts';
import type { HashName } from '../../../../core/tpm/constants.ts';

/** What a boot of a virtual machine left: entries of its list and PCR 0 to 10 of each bank. */
export interface BootVector {
  readonly entries: number;
  readonly templates: Readonly<Record<string, number>>;
  readonly violations: readonly number[];
  readonly pcrs: Readonly<Partial<Record<HashName, Readonly<Record<string, string>>>>>;
  /** Length of the list at a collection, where one list stands for several. */
  readonly bytes?: number;
}

/** A changed copy of a list. */
export interface DoctoredVector {
  readonly base: string;
  readonly verdict: 'fail' | 'pass-prefix';
  readonly failing: readonly string[];
  readonly what: string;
}

interface Index {
  readonly boots: Readonly<Record<string, BootVector>>;
  readonly doctored: Readonly<Record<string, DoctoredVector>>;
}

const ROOT = new URL('../../../vectors/ima/', import.meta.url);

export const index: Index = JSON.parse(readFileSync(new URL('boots.json', ROOT), 'utf8'));
/** Boots that have a list of their own. */
export const bootNames = Object.keys(index.boots).filter((name) => !name.includes('/'));

export function boot(name: string): BootVector {
  const found = index.boots[name];
  if (found === undefined) throw new Error(`no boot vector ${name}`);
  return found;
}

export function binaryList(name: string): Uint8Array {
  return bytesOf(`${name}/binary_runtime_measurements`);
}

export function asciiList(name: string): Uint8Array {
  return bytesOf(`${name}/ascii_runtime_measurements`);
}

export function bytesOf(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(path, ROOT)));
}

export const unhex = (hex: string): Uint8Array => fromHex(hex, 'vector');

export const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

export function u32le(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

/** A field of template data: its length and its bytes. */
export const field = (bytes: Uint8Array): Uint8Array => concat(u32le(bytes.length), bytes);

/** The contents of a `d-ng` or, with `ima:` or `verity:` before the algorithm, `d-ngv2` field. */
export const digestNg = (algo: string, digest: Uint8Array): Uint8Array => concat(utf8(`${algo}:\0`), digest);

export interface EntryParts {
  readonly template: string;
  readonly data: Uint8Array;
  readonly hash: Uint8Array;
  readonly pcr?: number;
}

/** An entry of any template but `ima`, in binary form. */
export function entryBytes({ template, data, hash, pcr = 10 }: EntryParts): Uint8Array {
  return concat(u32le(pcr), hash, field(utf8(template)), field(data));
}

/** The ParseError that `parse` throws: its field and offset. */
export function parseErrorOf(parse: () => unknown): { readonly field: string; readonly offset: number } {
  try {
    parse();
  } catch (error) {
    if (error instanceof ParseError) return { field: error.field, offset: error.offset };
    throw error;
  }
  return expect.unreachable('the input was accepted');
}

/** One entry of a list of one. */
export function entryOf(template: string, ...fields: readonly Uint8Array[]): ImaEntry {
  const bytes = entryBytes({
    template,
    data: concat(...fields.map(field)),
    hash: new Uint8Array(20).fill(1),
  });
  return imaEntry(parseImaList(bytes), 0);
}

/** A signature header of `security.ima` or `security.evm`, and the signature. */
export function xattrSignature(
  key: ImaKey,
  signature: Uint8Array,
  { type = 3, version = 2, hash = 4, length = signature.length } = {},
): Uint8Array {
  return new Writer().u8(type).u8(version).u8(hash).u32(key.keyId).u16(length).raw(signature).bytes();
}
