import { ParseError } from '../../core/errors.ts';
import { parseImaAscii } from '../../core/ima/ascii.ts';
import { parseImaList } from '../../core/ima/binary.ts';
import type { BrokenList, ImaEvidence } from './ima.ts';

/** A part of a measurement list in one of the two forms that kernels show. */
export interface SentList {
  readonly form: 'binary' | 'ascii';
  readonly bytes: Uint8Array;
  readonly firstEntry: number;
}

/** Parses a list; what does not parse is a finding (rule `ima.bytes`). */
export function readSentList({ form, bytes, firstEntry }: SentList): ImaEvidence | BrokenList {
  try {
    return { list: form === 'ascii' ? parseImaAscii(bytes) : parseImaList(bytes), firstEntry };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const message = `the measurement list is broken: ${error.message}`;
    return { problem: { rule: 'ima.bytes', message } };
  }
}
