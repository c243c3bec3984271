import type { Reader } from '../bytes/reader.ts';
import { type HashName, hashNameOf } from './constants.ts';

/** Reads a TPMI_ALG_HASH (Part 2, 9.27). @throws {ParseError} for a hash we do not know, TPM_ALG_NULL among them */
export function readHash(r: Reader, field: string): HashName {
  const algorithm = r.u16(field);
  return hashNameOf(algorithm) ?? failUnknown(r, field, algorithm);
}

/** @throws {ParseError} always: rule `bytes.known` */
export function failUnknown(r: Reader, field: string, value: number): never {
  return r.fail(field, `0x${value.toString(16).padStart(4, '0')} is not supported`, 'bytes.known');
}

/** The key of `table` that has `value`. @throws {ParseError} for a value that is in no row */
export function readKnown<K extends string>(r: Reader, field: string, table: ReadonlyMap<number, K>): K {
  const value = r.u16(field);
  return table.get(value) ?? failUnknown(r, field, value);
}
