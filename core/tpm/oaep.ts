import { constants, hash, type KeyObject, privateDecrypt, publicEncrypt } from 'node:crypto';
import { concat, Writer } from '../bytes/writer.ts';
import { digestSize, type HashName } from './constants.ts';

/** The label's terminator is part of it (TPM 2.0 Part 1, B.4). */
const LABEL = Buffer.from('IDENTITY\0');

export interface OaepInput {
  readonly key: KeyObject;
  readonly hash: HashName;
  readonly message: Uint8Array;
  /** As many random bytes as the digest has. */
  readonly seed: Uint8Array;
}

/**
 * RSAES-OAEP encryption (RFC 8017, 7.1.1) with the label `IDENTITY` and a given seed, because here
 * randomness is an argument and node:crypto would draw its own.
 *
 * @throws {RangeError} when the message does not fit the key
 */
export function oaepEncrypt({ key, hash: name, message, seed }: OaepInput): Uint8Array {
  const size = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8;
  const db = new Uint8Array(size - digestSize(name) - 1);
  if (message.length + digestSize(name) + 1 > db.length)
    throw new RangeError('the message is too long for the key');
  db.set(hash(name, LABEL, 'buffer'));
  db[db.length - message.length - 1] = 1;
  db.set(message, db.length - message.length);
  const maskedDb = xor(db, mgf1(name, seed, db.length));
  const maskedSeed = xor(seed, mgf1(name, maskedDb, seed.length));
  const encoded = concat(Uint8Array.of(0), maskedSeed, maskedDb);
  return new Uint8Array(publicEncrypt({ key, padding: constants.RSA_NO_PADDING }, encoded));
}

/** The inverse of oaepEncrypt. @throws {Error} of node:crypto when the padding is wrong */
export function oaepDecrypt(key: KeyObject, name: HashName, ciphertext: Uint8Array): Uint8Array {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return new Uint8Array(privateDecrypt({ key, padding, oaepHash: name, oaepLabel: LABEL }, ciphertext));
}

/** MGF1 (RFC 8017, B.2.1). */
function mgf1(name: HashName, seed: Uint8Array, length: number): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (let counter = 0; counter * digestSize(name) < length; counter += 1) {
    blocks.push(hash(name, new Writer().raw(seed).u32(counter).bytes(), 'buffer'));
  }
  return concat(...blocks).subarray(0, length);
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((byte, i) => byte ^ (b[i] ?? 0));
}
