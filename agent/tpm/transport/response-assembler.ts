import { concat } from '../../../core/bytes/writer.ts';
import { MAX_TPM_BUFFER_BYTES, sizeField, TPM_HEADER_BYTES, TpmTransportError } from './transport.ts';

/** Puts one response together from the pieces in which a stream delivers it. */
export class ResponseAssembler {
  #bytes: Uint8Array = new Uint8Array();

  /**
   * @returns the response once it is whole, `undefined` before
   * @throws {TpmTransportError} `protocol` for an impossible size, or for bytes after the response: with
   *   one command on its way there is nothing they could belong to
   */
  push(chunk: Uint8Array): Uint8Array | undefined {
    this.#bytes = concat(this.#bytes, chunk);
    if (this.#bytes.length < TPM_HEADER_BYTES) return undefined;
    const size = sizeField(this.#bytes);
    if (size < TPM_HEADER_BYTES || size > MAX_TPM_BUFFER_BYTES) {
      throw new TpmTransportError('protocol', `the TPM announced a response of ${size} bytes`);
    }
    if (this.#bytes.length > size) {
      throw new TpmTransportError(
        'protocol',
        `the TPM announced a response of ${size} bytes and sent ${this.#bytes.length}`,
      );
    }
    return this.#bytes.length === size ? this.#bytes : undefined;
  }

  /** Bytes so far, for error messages. */
  get received(): number {
    return this.#bytes.length;
  }
}
