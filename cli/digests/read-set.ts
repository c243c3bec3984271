import { readFile } from 'node:fs/promises';
import { AssayError, ParseError } from '../../core/errors.ts';
import { DigestSet } from '../../policies/digests/digest-set.ts';

/** A digest set that was written to a file. @throws {AssayError} `invalid-request` when it is none */
export async function readSet(file: string): Promise<DigestSet> {
  try {
    return DigestSet.parse(new Uint8Array(await readFile(file)));
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const what = cause instanceof ParseError ? `${file} is no digest set` : `cannot read ${file}`;
    throw new AssayError('invalid-request', `${what}: ${message}`, { cause });
  }
}
