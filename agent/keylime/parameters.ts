import { PCR_COUNT } from '../../core/tpm/constants.ts';
import { RequestRefused } from './envelope.ts';

const MAX_NONCE_BYTES = 64;

/** The UTF-8 bytes of a nonce: they are the quote's extraData. */
export function readNonce(query: URLSearchParams): Uint8Array {
  const nonce = query.get('nonce');
  if (nonce === null) throw new RequestRefused(400, 'Query deserialize error: missing field `nonce`');
  if (!/^[\p{Alphabetic}\p{N}]+$/u.test(nonce)) {
    throw new RequestRefused(400, 'Parameters should be strictly alphanumeric: nonce');
  }
  const bytes = new TextEncoder().encode(nonce);
  if (bytes.length > MAX_NONCE_BYTES) {
    throw new RequestRefused(400, `Nonce is too long (max size ${MAX_NONCE_BYTES}): ${bytes.length}`);
  }
  return bytes;
}

/** PCR indices, ascending. */
export function readMask(query: URLSearchParams): number[] {
  const mask = query.get('mask');
  if (mask === null) throw new RequestRefused(400, 'Query deserialize error: missing field `mask`');
  const digits = /^(?:0x)?([0-9a-f]{1,8})$/i.exec(mask)?.[1];
  if (digits === undefined) {
    throw new RequestRefused(400, 'Parameters should be strictly alphanumeric: mask in hexadecimal');
  }
  const bits = Number.parseInt(digits, 16);
  // Keylime's agent finds out from its TPM library, and says so with a 500.
  if (bits >= 2 ** PCR_COUNT) throw new RequestRefused(500, 'Unable to retrieve quote');
  return Array.from({ length: PCR_COUNT }, (_, pcr) => pcr).filter((pcr) => (bits & (1 << pcr)) !== 0);
}

/** Whether the answer leaves out the public key. */
export function readPartial(query: URLSearchParams): boolean {
  const partial = query.get('partial');
  if (partial === null) throw new RequestRefused(400, 'Query deserialize error: missing field `partial`');
  if (partial !== '0' && partial !== '1') {
    throw new RequestRefused(400, 'uri parameter partial only supports value of 0 or 1');
  }
  return partial === '1';
}

/** First line of the IMA list that is wanted; anything that is no number means the whole list. */
export function readImaEntry(query: URLSearchParams): number {
  const text = query.get('ima_ml_entry') ?? '0';
  return /^\d{1,12}$/.test(text) ? Number(text) : 0;
}
