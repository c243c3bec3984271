import { ParseError } from '../../errors.ts';

/** A line of SBAT data (shim's SBAT.md): a component and the generation below which it is revoked. */
export interface SbatEntry {
  readonly component: string;
  readonly generation: number;
  /** Columns behind these: of `sbat` in SbatLevel the date, of a component its vendor. */
  readonly rest: readonly string[];
}

const MAX_BYTES = 64 * 1024;
const MAX_ENTRIES = 500;
const GENERATION = /^[0-9]{1,9}$/;
const COMPONENT = /^[\x21-\x2b\x2d-\x7e]{1,128}$/;
const TEXT = /^[\x20-\x7e\r\n]*\0*$/;

/**
 * Parses SBAT CSV, as in variable SbatLevel and in section `.sbat`.
 *
 * @throws {ParseError} for what is not ASCII text, and for a line without component and generation or with a component
 *   that was there already
 */
export function parseSbat(bytes: Uint8Array, offset = 0): readonly SbatEntry[] {
  const fail = (problem: string) => new ParseError('sbat', offset, problem);
  if (bytes.length > MAX_BYTES) throw fail(`has ${bytes.length} bytes, the limit is ${MAX_BYTES}`);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  if (!TEXT.test(text)) throw fail('is not ASCII text');
  const lines = text
    .replace(/\0+$/, '')
    .split(/\r?\n/)
    .filter((line) => line !== '');
  if (lines.length > MAX_ENTRIES) throw fail(`has ${lines.length} lines, the limit is ${MAX_ENTRIES}`);
  const seen = new Set<string>();
  return lines.map((line, i) => {
    const [component = '', generation = '', ...rest] = line.split(',');
    if (!COMPONENT.test(component) || !GENERATION.test(generation)) {
      throw fail(`line ${i + 1} does not begin with a component and a generation`);
    }
    if (seen.has(component)) {
      throw new ParseError('sbat', offset, `line ${i + 1} repeats a component`, 'bytes.duplicates');
    }
    seen.add(component);
    return { component, generation: Number(generation), rest };
  });
}
