import { concat } from '../../core/bytes/writer.ts';

const DER_SEQUENCE = 0x30;

/**
 * The DER structures at the start of what an NV index holds, one after the other. NV indices are often
 * larger than the certificate in them: what follows the last structure is padding and is left out.
 */
export function splitDer(bytes: Uint8Array): Uint8Array[] {
  const structures: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = derLength(bytes.subarray(at));
    if (length === undefined || at + length > bytes.length) break;
    structures.push(bytes.slice(at, at + length));
    at += length;
  }
  return structures;
}

/**
 * Certificates out of the consecutive NV indices of an EK certificate chain. A certificate may go on
 * from one index to the next (TCG EK Credential Profile 2.5, section 2.2.1.5), so all are joined first.
 */
export function splitChain(indices: readonly Uint8Array[]): Uint8Array[] {
  const joined = splitDer(concat(...indices));
  // A TPM that pads each index breaks the joined form; then each index stands for itself.
  const separate = indices.flatMap(splitDer);
  return separate.length > joined.length ? separate : joined;
}

/** Length of the SEQUENCE at the start, with its header; `undefined` when there is none. */
function derLength(bytes: Uint8Array): number | undefined {
  const [tag, first = 0] = bytes;
  if (tag !== DER_SEQUENCE || bytes.length < 2) return undefined;
  if (first < 0x80) return 2 + first;
  const lengthBytes = first & 0x7f;
  if (lengthBytes === 0 || lengthBytes > 3 || bytes.length < 2 + lengthBytes) return undefined;
  return (
    bytes.subarray(2, 2 + lengthBytes).reduce((length, byte) => length * 256 + byte, 0) + 2 + lengthBytes
  );
}
