import type { RandomBytes } from '../../core/tpm/seed.ts';

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
/** 43 characters out of 62 are more than 256 bits. */
export const NONCE_CHARACTERS = 43;
/** Bytes from here on would make some characters likelier than others. */
const UNBIASED = 256 - (256 % ALPHABET.length);
const DRAW = 64;

/**
 * A nonce of at least 256 bits (rule `quote.nonce`), of the characters that agents of the Keylime family accept. It
 * lives in the call that made it, so it is used once, for one node, and ends with that call.
 */
export function makeNonce(randomBytes: RandomBytes): string {
  let nonce = '';
  while (nonce.length < NONCE_CHARACTERS) {
    for (const byte of randomBytes(DRAW)) {
      if (byte < UNBIASED && nonce.length < NONCE_CHARACTERS) nonce += ALPHABET[byte % ALPHABET.length];
    }
  }
  return nonce;
}

const BULK_BYTES = 4096;

/** Draws many bytes at a time, since asking the generator costs more than its bytes. Each is given out once. */
export function inBulk(randomBytes: RandomBytes): RandomBytes {
  let drawn: Uint8Array = new Uint8Array();
  return (length) => {
    if (length > drawn.length) drawn = randomBytes(Math.max(length, BULK_BYTES));
    const given = drawn.subarray(0, length);
    drawn = drawn.subarray(length);
    return given;
  };
}
