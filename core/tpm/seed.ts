import { createECDH, diffieHellman, type KeyObject } from 'node:crypto';
import { toHex } from '../bytes/encoding.ts';
import { Reader } from '../bytes/reader.ts';
import { concat, Writer } from '../bytes/writer.ts';
import { digestSize } from './constants.ts';
import { CURVES, type EccCurve, MAX_ECC_BYTES } from './curve.ts';
import { kdfe } from './kdf.ts';
import { pointKey, publicKeyOf } from './key.ts';
import { oaepDecrypt, oaepEncrypt } from './oaep.ts';
import type { TpmtPublic, TpmtPublicEcc, TpmtPublicRsa } from './public.ts';

/** Gives `length` bytes that nobody can guess. */
export type RandomBytes = (length: number) => Uint8Array;

/** A seed that only the holder of a decryption key learns (TPM 2.0 Part 1, B.10 and C.6). */
export interface SharedSeed {
  readonly seed: Uint8Array;
  /** Contents of the TPM2B_ENCRYPTED_SECRET. */
  readonly encryptedSecret: Uint8Array;
}

const UNCOMPRESSED = Uint8Array.of(4);
/** Draws of a number below the order; each of them fails with less than even odds. */
const MAX_DRAWS = 128;

/** Makes a seed for the holder of `key`, as long as a digest of its name algorithm. */
export function shareSeed(key: TpmtPublic, randomBytes: RandomBytes): SharedSeed {
  return key.type === 'rsa' ? shareRsaSeed(key, randomBytes) : shareEccSeed(key, randomBytes);
}

/**
 * The seed, for a key whose private part is in software.
 *
 * @throws {ParseError} when an ECC secret is not a point of the curve
 * @throws {Error} of node:crypto when an RSA secret does not decrypt
 */
export function recoverSeed(key: TpmtPublic, privateKey: KeyObject, encryptedSecret: Uint8Array): Uint8Array {
  return key.type === 'rsa'
    ? oaepDecrypt(privateKey, key.nameAlg, encryptedSecret)
    : recoverEccSeed(key, privateKey, encryptedSecret);
}

function shareRsaSeed(key: TpmtPublicRsa, randomBytes: RandomBytes): SharedSeed {
  const length = digestSize(key.nameAlg);
  const message = randomBytes(length);
  const seed = randomBytes(length);
  const encryptedSecret = oaepEncrypt({ key: publicKeyOf(key), hash: key.nameAlg, message, seed });
  return { seed: message, encryptedSecret };
}

function shareEccSeed(key: TpmtPublicEcc, randomBytes: RandomBytes): SharedSeed {
  const { ecdh, sizeBytes } = CURVES[key.curve];
  const ephemeral = createECDH(ecdh);
  ephemeral.setPrivateKey(randomScalar(key.curve, randomBytes));
  const point = ephemeral.getPublicKey();
  const x = point.subarray(1, 1 + sizeBytes);
  const z = ephemeral.computeSecret(concat(UNCOMPRESSED, key.unique.x, key.unique.y));
  const encryptedSecret = new Writer()
    .sized16(x)
    .sized16(point.subarray(1 + sizeBytes))
    .bytes();
  return { seed: deriveSeed(key, z, x), encryptedSecret };
}

function recoverEccSeed(key: TpmtPublicEcc, privateKey: KeyObject, encryptedSecret: Uint8Array): Uint8Array {
  const r = new Reader(encryptedSecret, 'TPMS_ECC_POINT');
  const x = r.sized16('x', MAX_ECC_BYTES);
  const y = r.sized16('y', MAX_ECC_BYTES);
  r.end();
  const publicKey = pointKey(key.curve, { x, y }) ?? r.fail('x', 'is not a point of the curve');
  return deriveSeed(key, diffieHellman({ privateKey, publicKey }), x);
}

function deriveSeed(key: TpmtPublicEcc, z: Uint8Array, ephemeralX: Uint8Array): Uint8Array {
  const bits = 8 * digestSize(key.nameAlg);
  return kdfe({ hash: key.nameAlg, z, label: 'IDENTITY', partyU: ephemeralX, partyV: key.unique.x, bits });
}

/** A private key by testing candidates (FIPS 186-5, A.2.2). */
function randomScalar(curve: EccCurve, randomBytes: RandomBytes): Uint8Array {
  const { sizeBytes, bits, order } = CURVES[curve];
  for (let draw = 0; draw < MAX_DRAWS; draw += 1) {
    const candidate = Uint8Array.from(randomBytes(sizeBytes));
    candidate[0] = (candidate[0] ?? 0) & (0xff >> (8 * sizeBytes - bits));
    const number = BigInt(`0x${toHex(candidate)}`);
    if (number > 0n && number < order) return candidate;
  }
  throw new RangeError('randomBytes does not give random bytes');
}
