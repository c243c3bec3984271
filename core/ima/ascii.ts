import { ParseError } from '../errors.ts';
import { digestSize } from '../tpm/constants.ts';
import { AsciiEntryWriter } from './ascii-entry.ts';
import { IMA_PCR, type ImaListOptions, parseImaList } from './binary.ts';
import type { ImaList } from './list.ts';

const LF = 0x0a;
const MAX_LINE_BYTES = 4 * 1024 * 1024;
const DEFAULT_MAX_BYTES = 512 * 1024 * 1024;

/** A list that came as text, and where its lines were. */
export interface ImaAsciiList extends ImaList {
  /** Byte offset of each entry's line in the text. */
  readonly lines: Uint32Array;
}

/**
 * Parses `ascii_runtime_measurements`, which is what Keylime sends: a line per entry, the last one with or without a
 * line end. Rebuilds the binary list, so that hashes cover the bytes that the kernel hashed. Text is the weaker form: a
 * file name with a line break cannot be told from two lines, and then the list is refused or does not replay.
 *
 * @throws {ParseError} with the offset in the text, unless every line is an entry of a known template for one PCR
 */
export function parseImaAscii(text: Uint8Array, options: ImaListOptions = {}): ImaAsciiList {
  const { maxBytes = DEFAULT_MAX_BYTES, pcr = IMA_PCR, hash = 'sha1' } = options;
  if (text.length > maxBytes) {
    throw new ParseError('ima', 0, `the list has ${text.length} bytes, the limit is ${maxBytes}`);
  }
  const writer = new AsciiEntryWriter(text, pcr, digestSize(hash));
  const lines: number[] = [];
  const starts: number[] = [];
  for (let at = 0; at < text.length; ) {
    const end = lineEnd(text, at, lines.length);
    lines.push(at);
    starts.push(writer.length);
    writer.entry(at, end, lines.length - 1);
    at = end + 1;
  }
  try {
    return {
      ...parseImaList(writer.bytes(), { ...options, maxBytes: Infinity }),
      lines: Uint32Array.from(lines),
    };
  } catch (error) {
    throw error instanceof ParseError ? atLine(error, lines, starts) : error;
  }
}

function lineEnd(text: Uint8Array, start: number, index: number): number {
  const found = text.indexOf(LF, start);
  const end = found < 0 ? text.length : found;
  if (end - start <= MAX_LINE_BYTES) return end;
  throw new ParseError(`ima[${index}]`, start, `the line is over the limit of ${MAX_LINE_BYTES} bytes`);
}

/** The same error, pointing to the line instead of into the rebuilt list. */
function atLine(error: ParseError, lines: readonly number[], starts: readonly number[]): ParseError {
  const next = starts.findIndex((start) => start > error.offset);
  const line = lines[next < 0 ? lines.length - 1 : Math.max(next - 1, 0)] ?? 0;
  const problem = error.message.slice(`${error.field} at byte ${error.offset}: `.length);
  return new ParseError(error.field, line, problem, error.rule);
}
