import { ParseError, type ParseRule } from '../errors.ts';

/**
 * A bounded big-endian cursor over bytes that somebody else chose.
 *
 * Every read names its field and is checked before the cursor moves, so a length from the wire is never
 * used before it is known to fit. Reads return views, not copies: keep the input unchanged.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #path: string;
  readonly #base: number;
  #offset = 0;

  /**
   * @param path name of the structure, first part of every field name in an error
   * @param base offset of `bytes` in the outermost structure, so that nested errors point into it
   */
  constructor(bytes: Uint8Array, path: string, base = 0) {
    // A Buffer would make every part that is read a Buffer, which compares and prints differently.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#path = path;
    this.#base = base;
  }

  /** Bytes from the start of the outermost structure. */
  get offset(): number {
    return this.#base + this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u16(field: string): number {
    return this.#view.getUint16(this.#take(2, field));
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field));
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field));
  }

  /** Little-endian forms, for the TCG event log, IMA and the tpm2-tools PCR dump. */
  u16le(field: string): number {
    return this.#view.getUint16(this.#take(2, field), true);
  }

  u32le(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true);
  }

  u64le(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), true);
  }

  /** Exactly `length` bytes. */
  raw(length: number, field: string): Uint8Array {
    const start = this.#take(length, field);
    return this.#bytes.subarray(start, start + length);
  }

  /** Passes over room that must hold nothing. Makes no view, which quotes have dozens of. */
  zeros(length: number, field: string): void {
    const start = this.#take(length, field);
    for (let at = start; at < start + length; at += 1) {
      if (this.#bytes[at] !== 0) this.fail(field, 'is not zero');
    }
  }

  /** A TPM2B: a u16 length of at most `max` bytes, then the bytes. */
  sized16(field: string, max: number): Uint8Array {
    return this.raw(this.#limited(this.u16(field), max, field), field);
  }

  /** A u32 length of at most `max` bytes, then the bytes. */
  sized32(field: string, max: number): Uint8Array {
    return this.raw(this.#limited(this.u32(field), max, field), field);
  }

  /** A TPM2B that holds a structure: a Reader over exactly its bytes. Call `end()` on it. */
  nested16(field: string, max: number): Reader {
    const bytes = this.sized16(field, max);
    return new Reader(bytes, `${this.#path}.${field}`, this.offset - bytes.length);
  }

  /** A u32 count of at most `max` elements. */
  count32(field: string, max: number): number {
    const count = this.u32(field);
    if (count > max) this.fail(field, `count ${count} is over the limit of ${max}`);
    return count;
  }

  /** Fails unless every byte was read: a structure is whole or it is refused. */
  end(): void {
    if (this.remaining !== 0) this.fail('end', `${this.remaining} trailing bytes`);
  }

  /** @throws {ParseError} always, at the current offset */
  fail(field: string, problem: string, rule?: ParseRule): never {
    throw new ParseError(`${this.#path}.${field}`, this.offset, problem, rule);
  }

  #limited(length: number, max: number, field: string): number {
    if (length > max) this.fail(field, `length ${length} is over the limit of ${max}`);
    return length;
  }

  #take(length: number, field: string): number {
    if (!(length >= 0)) throw new RangeError(`${length} bytes of ${field} cannot be read`);
    if (length > this.remaining) this.fail(field, `needs ${length} bytes, ${this.remaining} left`);
    const start = this.#offset;
    this.#offset += length;
    return start;
  }
}
