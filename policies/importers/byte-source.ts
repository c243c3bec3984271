import { AssayError } from '../../core/errors.ts';

export type Bytes = AsyncIterable<Uint8Array>;

/** Takes as many bytes as one wants from chunks of any length. */
export class ByteSource {
  readonly #input: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(input: Bytes) {
    this.#input = input[Symbol.asyncIterator]();
  }

  /** @throws {AssayError} when there are fewer */
  async *stream(length: number): AsyncGenerator<Uint8Array> {
    for (let left = length; left > 0; ) {
      if (this.#rest.length === 0 && !(await this.#more())) {
        throw new AssayError('invalid-request', 'the archive ends too soon');
      }
      const part = this.#rest.subarray(0, left);
      this.#rest = this.#rest.subarray(part.length);
      left -= part.length;
      yield part;
    }
  }

  /** @throws {AssayError} when there are fewer */
  async take(length: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for await (const part of this.stream(length)) parts.push(part);
    return Buffer.concat(parts, length);
  }

  /** All that is left. */
  async *rest(): AsyncGenerator<Uint8Array> {
    while (this.#rest.length > 0 || (await this.#more())) {
      const part = this.#rest;
      this.#rest = new Uint8Array();
      yield part;
    }
  }

  /** For whoever does not read to the end. */
  async close(): Promise<void> {
    await this.#input.return?.();
  }

  async #more(): Promise<boolean> {
    const next = await this.#input.next();
    if (!next.done) this.#rest = next.value;
    return !next.done;
  }
}
