import { Reader } from '../bytes/reader.ts';
import { Writer } from '../bytes/writer.ts';
import { failUnknown, readHash, readKnown } from './algorithm.ts';
import { type HashName, hashAlgOf, MAX_DIGEST_BYTES, TPM_ALG } from './constants.ts';
import { CURVE_OF, CURVES, type EccCurve, MAX_ECC_BYTES } from './curve.ts';
import { hasBits, pointKey } from './key.ts';
import { readTpmaObject, type TpmaObject, tpmaObjectBits } from './object-attributes.ts';
import * as scheme from './scheme.ts';

/** What a TPMT_PUBLIC (Part 2, 12.2.4) of either kind has. */
interface TpmtPublicCommon {
  /** The hash of the object's Name, and of everything that protects it. */
  readonly nameAlg: HashName;
  readonly objectAttributes: TpmaObject;
  /** Empty, or a digest of `nameAlg`. */
  readonly authPolicy: Uint8Array;
  readonly symmetric: scheme.TpmtSymDefObject;
}

/** TPMT_PUBLIC with TPMS_RSA_PARMS (12.2.3.5). */
export interface TpmtPublicRsa extends TpmtPublicCommon {
  readonly type: 'rsa';
  readonly scheme: scheme.TpmtRsaScheme;
  readonly keyBits: RsaKeyBits;
  /** As it is in the structure, where 0 stands for 65537. */
  readonly exponent: number;
  /** The modulus, `keyBits` long; in a template any bytes up to that. */
  readonly unique: Uint8Array;
}

/** TPMS_ECC_POINT (11.2.5.2). */
export interface EccPoint {
  readonly x: Uint8Array;
  readonly y: Uint8Array;
}

/** TPMT_PUBLIC with TPMS_ECC_PARMS (12.2.3.6). */
export interface TpmtPublicEcc extends TpmtPublicCommon {
  readonly type: 'ecc';
  readonly scheme: scheme.TpmtEccScheme;
  readonly curve: EccCurve;
  readonly kdf: scheme.TpmtKdfScheme;
  /** A point of the curve, padded to its size; in a template any bytes up to that. */
  readonly unique: EccPoint;
}

/** TPMT_PUBLIC (Part 2, 12.2.4) of an asymmetric key. Nothing says yet that a TPM holds it. */
export type TpmtPublic = TpmtPublicRsa | TpmtPublicEcc;

export type RsaKeyBits = 1024 | 2048 | 3072 | 4096;

const RSA_KEY_BITS: readonly RsaKeyBits[] = [1024, 2048, 3072, 4096];
const MAX_RSA_BYTES = 512;
/** More than the longest: an RSA 4096 key with all its parameters and a SHA-512 policy. */
const MAX_PUBLIC_BYTES = 1024;

/**
 * Parses a TPMT_PUBLIC: a key whose modulus has `keyBits`, or whose point is on its curve.
 *
 * @throws {ParseError} for anything else, for keyed-hash and symmetric objects, reserved attributes,
 *   unknown algorithms and trailing bytes
 */
export function parseTpmtPublic(bytes: Uint8Array): TpmtPublic {
  const r = new Reader(bytes, 'TPMT_PUBLIC');
  const publicArea = readTpmtPublic(r);
  r.end();
  return publicArea;
}

/** Parses a TPM2B_PUBLIC (12.2.5): a 16-bit size and a TPMT_PUBLIC. @throws {ParseError} as parseTpmtPublic */
export function parseTpm2bPublic(bytes: Uint8Array): TpmtPublic {
  const r = new Reader(bytes, 'TPM2B_PUBLIC');
  const inner = r.nested16('publicArea', MAX_PUBLIC_BYTES);
  const publicArea = readTpmtPublic(inner);
  inner.end();
  r.end();
  return publicArea;
}

/** Reads a TPMT_PUBLIC inside another structure. @throws {ParseError} as parseTpmtPublic */
export function readTpmtPublic(r: Reader): TpmtPublic {
  const publicArea = readTpmtTemplate(r);
  if (publicArea.type === 'rsa') checkModulus(r, publicArea);
  else checkPoint(r, publicArea);
  return publicArea;
}

/**
 * Reads a TPMT_PUBLIC whose `unique` need not be a key, as in the templates of TPM2_CreatePrimary.
 *
 * @throws {ParseError} as parseTpmtPublic, but for `unique`
 */
export function readTpmtTemplate(r: Reader): TpmtPublic {
  const type = r.u16('type');
  if (type !== TPM_ALG.RSA && type !== TPM_ALG.ECC) return failType(r, type);
  const nameAlg = readHash(r, 'nameAlg');
  const objectAttributes = readTpmaObject(r);
  const authPolicy = r.sized16('authPolicy', MAX_DIGEST_BYTES);
  const symmetric = scheme.readTpmtSymDefObject(r);
  const common = { nameAlg, objectAttributes, authPolicy, symmetric };
  return type === TPM_ALG.RSA ? { ...common, ...readRsa(r) } : { ...common, ...readEcc(r) };
}

/** The bytes of a TPMT_PUBLIC: what its Name is a digest of. */
export function marshalTpmtPublic(publicArea: TpmtPublic): Uint8Array {
  const w = new Writer();
  writeTpmtPublic(w, publicArea);
  return w.bytes();
}

/** The bytes of a TPM2B_PUBLIC: a 16-bit size and the TPMT_PUBLIC. */
export function marshalTpm2bPublic(publicArea: TpmtPublic): Uint8Array {
  return new Writer().sized16(marshalTpmtPublic(publicArea)).bytes();
}

function writeTpmtPublic(w: Writer, publicArea: TpmtPublic): void {
  w.u16(publicArea.type === 'rsa' ? TPM_ALG.RSA : TPM_ALG.ECC);
  w.u16(hashAlgOf(publicArea.nameAlg)).u32(tpmaObjectBits(publicArea.objectAttributes));
  w.sized16(publicArea.authPolicy);
  scheme.writeTpmtSymDefObject(w, publicArea.symmetric);
  if (publicArea.type === 'rsa') {
    scheme.writeTpmtRsaScheme(w, publicArea.scheme);
    w.u16(publicArea.keyBits).u32(publicArea.exponent).sized16(publicArea.unique);
    return;
  }
  scheme.writeTpmtEccScheme(w, publicArea.scheme);
  w.u16(CURVES[publicArea.curve].id);
  scheme.writeTpmtKdfScheme(w, publicArea.kdf);
  w.sized16(publicArea.unique.x).sized16(publicArea.unique.y);
}

function readRsa(r: Reader): Pick<TpmtPublicRsa, 'type' | 'scheme' | 'keyBits' | 'exponent' | 'unique'> {
  const rsaScheme = scheme.readTpmtRsaScheme(r);
  const keyBits = readKeyBits(r);
  const exponent = r.u32('exponent');
  const unique = r.sized16('unique', Math.min(keyBits / 8, MAX_RSA_BYTES));
  return { type: 'rsa', scheme: rsaScheme, keyBits, exponent, unique };
}

function readEcc(r: Reader): Pick<TpmtPublicEcc, 'type' | 'scheme' | 'curve' | 'kdf' | 'unique'> {
  const eccScheme = scheme.readTpmtEccScheme(r);
  const curve = readKnown(r, 'curveID', CURVE_OF);
  const kdf = scheme.readTpmtKdfScheme(r);
  const x = r.sized16('unique.x', MAX_ECC_BYTES);
  const y = r.sized16('unique.y', MAX_ECC_BYTES);
  return { type: 'ecc', scheme: eccScheme, curve, kdf, unique: { x, y } };
}

function readKeyBits(r: Reader): RsaKeyBits {
  const bits = r.u16('keyBits');
  return (
    RSA_KEY_BITS.find((known) => known === bits) ??
    r.fail('keyBits', `RSA keys of ${bits} bits are not supported`, 'bytes.known')
  );
}

function checkModulus(r: Reader, { keyBits, exponent, unique }: TpmtPublicRsa): void {
  if (exponent !== 0 && (exponent < 3 || exponent % 2 === 0)) {
    r.fail('exponent', `${exponent} is not an RSA exponent`);
  }
  if (!hasBits(unique, keyBits)) {
    r.fail('unique', `the modulus is not ${keyBits} bits long`);
  }
  if ((unique.at(-1) ?? 0) % 2 === 0) r.fail('unique', 'the modulus is even');
}

function checkPoint(r: Reader, publicArea: TpmtPublicEcc): void {
  const { x, y } = publicArea.unique;
  const { sizeBytes } = CURVES[publicArea.curve];
  if (x.length !== sizeBytes || y.length !== sizeBytes) {
    r.fail('unique', `coordinates are ${x.length} and ${y.length} bytes long, ${sizeBytes} expected`);
  }
  if (!pointKey(publicArea.curve, publicArea.unique)) r.fail('unique', 'the point is not on its curve');
}

function failType(r: Reader, type: number): never {
  if (type === TPM_ALG.KEYEDHASH || type === TPM_ALG.SYMCIPHER) {
    const kind = type === TPM_ALG.KEYEDHASH ? 'a keyed hash' : 'a symmetric cipher';
    return r.fail('type', `is ${kind}; an RSA or ECC key is expected`, 'bytes.known');
  }
  return failUnknown(r, 'type', type);
}
