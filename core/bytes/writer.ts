/**
 * Builds big-endian structures. The mirror of Reader: for each `readX` a `writeX` that takes a Writer.
 * A value that does not fit its field is a caller's mistake and a RangeError.
 */
export class Writer {
  readonly #chunks: Uint8Array[] = [];

  u8(value: number): this {
    return this.#integer(value, 1);
  }

  u16(value: number): this {
    return this.#integer(value, 2);
  }

  u32(value: number): this {
    return this.#integer(value, 4);
  }

  u64(value: bigint): this {
    if (value < 0n || value >= 1n << 64n) throw new RangeError(`${value} does not fit 8 bytes`);
    const chunk = new Uint8Array(8);
    new DataView(chunk.buffer).setBigUint64(0, value);
    return this.raw(chunk);
  }

  u16le(value: number): this {
    return this.#integer(value, 2, true);
  }

  u32le(value: number): this {
    return this.#integer(value, 4, true);
  }

  raw(bytes: Uint8Array): this {
    this.#chunks.push(bytes);
    return this;
  }

  /** A TPM2B: u16 length, then the bytes. */
  sized16(bytes: Uint8Array): this {
    return this.u16(bytes.length).raw(bytes);
  }

  sized32(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** A TPM2B around a structure that `write` fills. */
  nested16(write: (inner: Writer) => void): this {
    const inner = new Writer();
    write(inner);
    return this.sized16(inner.bytes());
  }

  bytes(): Uint8Array {
    return concat(...this.#chunks);
  }

  #integer(value: number, size: 1 | 2 | 4, littleEndian = false): this {
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
      throw new RangeError(`${value} does not fit ${size} bytes`);
    }
    const chunk = new Uint8Array(size);
    const view = new DataView(chunk.buffer);
    if (size === 1) view.setUint8(0, value);
    else if (size === 2) view.setUint16(0, value, littleEndian);
    else view.setUint32(0, value, littleEndian);
    return this.raw(chunk);
  }
}

/** One array out of many. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
