import { AssayError, ParseError } from '../../core/errors.ts';
import { DigestSet } from '../../policies/digests/digest-set.ts';
import { readBytes } from '../files.ts';

/** A digest set that was written to a file. @throws {AssayError} `invalid-request` when it is none */
export async function readSet(file: string): Promise<DigestSet> {
  const bytes = await readBytes(file);
  try {
    return DigestSet.parse(bytes);
  } catch (cause) {
    if (!(cause instanceof ParseError)) throw cause;
    throw new AssayError('invalid-request', `${file} is no digest set: ${cause.message}`, { cause });
  }
}
