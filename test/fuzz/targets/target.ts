import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { equalBytes } from '../../../core/bytes/encoding.ts';
import { AssayError } from '../../../core/errors.ts';
import type { FuzzTarget } from '../fuzzer.ts';

const VECTORS = fileURLToPath(new URL('../../vectors', import.meta.url));

/** A file below test/vectors. */
export function vectorFile(path: string): Uint8Array {
  return new Uint8Array(readFileSync(`${VECTORS}/${path}`));
}

export function vectorJson<T>(path: string): T {
  return JSON.parse(readFileSync(`${VECTORS}/${path}`, 'utf8'));
}

export const bytesOf = (content: string): Uint8Array => new Uint8Array(Buffer.from(content));
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

/** Parsers throw AssayError, ParseError among them: with the code of bad input, never of a fault of ours. */
const BAD_INPUT = new Set(['malformed', 'invalid-policy', 'invalid-request', 'too-large']);
export const badInput = (error: unknown): boolean => error instanceof AssayError && BAD_INPUT.has(error.code);

export function target(
  name: string,
  seeds: () => readonly Uint8Array[],
  run: (bytes: Uint8Array) => unknown,
  more: Partial<FuzzTarget> = {},
): FuzzTarget {
  return { name, seeds, run, expects: badInput, ...more };
}

/** What was read is written as it stood. */
export function same<T>(parse: (bytes: Uint8Array) => T, write: (value: T) => Uint8Array) {
  return (bytes: Uint8Array): void => {
    if (!equalBytes(write(parse(bytes)), bytes)) throw new Error('what was read is not written as it stood');
  };
}
