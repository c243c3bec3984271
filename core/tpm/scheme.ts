import type { Reader } from '../bytes/reader.ts';
import type { Writer } from '../bytes/writer.ts';
import { failUnknown, readHash, readKnown } from './algorithm.ts';
import { type HashName, hashAlgOf, TPM_ALG } from './constants.ts';

/** TPMT_SYM_DEF_OBJECT (Part 2, 11.1.7): how a storage key protects its children and credentials. */
export type TpmtSymDefObject =
  | { readonly type: 'null' }
  | { readonly type: 'aes'; readonly keyBits: AesKeyBits; readonly mode: SymMode };
export type AesKeyBits = 128 | 192 | 256;
export type SymMode = 'ctr' | 'ofb' | 'cbc' | 'cfb' | 'ecb';

/** TPMT_RSA_SCHEME (11.2.4.2). */
export type TpmtRsaScheme =
  | { readonly type: 'null' | 'rsaes' }
  | { readonly type: 'rsassa' | 'rsapss' | 'oaep'; readonly hash: HashName };

/** TPMT_ECC_SCHEME (11.2.5.6). */
export type TpmtEccScheme =
  | { readonly type: 'null' }
  | { readonly type: 'ecdsa' | 'ecschnorr' | 'ecdh' | 'ecmqv'; readonly hash: HashName }
  | { readonly type: 'ecdaa'; readonly hash: HashName; readonly count: number };

/** TPMT_KDF_SCHEME (11.2.3.3). */
export type TpmtKdfScheme =
  | { readonly type: 'null' }
  | { readonly type: 'mgf1' | 'kdf1Sp800_56a' | 'kdf2' | 'kdf1Sp800_108'; readonly hash: HashName };

const MODES = { ctr: TPM_ALG.CTR, ofb: TPM_ALG.OFB, cbc: TPM_ALG.CBC, cfb: TPM_ALG.CFB, ecb: TPM_ALG.ECB };
const RSA_SCHEMES = {
  null: TPM_ALG.NULL,
  rsassa: TPM_ALG.RSASSA,
  rsaes: TPM_ALG.RSAES,
  rsapss: TPM_ALG.RSAPSS,
  oaep: TPM_ALG.OAEP,
};
const ECC_SCHEMES = {
  null: TPM_ALG.NULL,
  ecdsa: TPM_ALG.ECDSA,
  ecdh: TPM_ALG.ECDH,
  ecdaa: TPM_ALG.ECDAA,
  ecschnorr: TPM_ALG.ECSCHNORR,
  ecmqv: TPM_ALG.ECMQV,
};
const KDFS = {
  null: TPM_ALG.NULL,
  mgf1: TPM_ALG.MGF1,
  kdf1Sp800_56a: TPM_ALG.KDF1_SP800_56A,
  kdf2: TPM_ALG.KDF2,
  kdf1Sp800_108: TPM_ALG.KDF1_SP800_108,
};

const MODE_OF = invert<SymMode>(MODES);
const RSA_SCHEME_OF = invert<TpmtRsaScheme['type']>(RSA_SCHEMES);
const ECC_SCHEME_OF = invert<TpmtEccScheme['type']>(ECC_SCHEMES);
const KDF_OF = invert<TpmtKdfScheme['type']>(KDFS);

/** @throws {ParseError} for anything but TPM_ALG_NULL and AES */
export function readTpmtSymDefObject(r: Reader): TpmtSymDefObject {
  const algorithm = r.u16('symmetric.algorithm');
  if (algorithm === TPM_ALG.NULL) return { type: 'null' };
  if (algorithm !== TPM_ALG.AES) return failUnknown(r, 'symmetric.algorithm', algorithm);
  const keyBits = r.u16('symmetric.keyBits');
  if (keyBits !== 128 && keyBits !== 192 && keyBits !== 256) {
    return r.fail('symmetric.keyBits', `AES has no keys of ${keyBits} bits`, 'bytes.known');
  }
  return { type: 'aes', keyBits, mode: readKnown(r, 'symmetric.mode', MODE_OF) };
}

export function writeTpmtSymDefObject(w: Writer, symmetric: TpmtSymDefObject): void {
  if (symmetric.type === 'null') w.u16(TPM_ALG.NULL);
  else w.u16(TPM_ALG.AES).u16(symmetric.keyBits).u16(MODES[symmetric.mode]);
}

/** @throws {ParseError} for a scheme that is not one of RSA's */
export function readTpmtRsaScheme(r: Reader): TpmtRsaScheme {
  const type = readKnown(r, 'scheme', RSA_SCHEME_OF);
  if (type === 'null' || type === 'rsaes') return { type };
  return { type, hash: readHash(r, 'scheme.hashAlg') };
}

export function writeTpmtRsaScheme(w: Writer, scheme: TpmtRsaScheme): void {
  w.u16(RSA_SCHEMES[scheme.type]);
  if ('hash' in scheme) w.u16(hashAlgOf(scheme.hash));
}

/** @throws {ParseError} for a scheme that is not one of ECC's */
export function readTpmtEccScheme(r: Reader): TpmtEccScheme {
  const type = readKnown(r, 'scheme', ECC_SCHEME_OF);
  if (type === 'null') return { type };
  const hash = readHash(r, 'scheme.hashAlg');
  return type === 'ecdaa' ? { type, hash, count: r.u16('scheme.count') } : { type, hash };
}

export function writeTpmtEccScheme(w: Writer, scheme: TpmtEccScheme): void {
  w.u16(ECC_SCHEMES[scheme.type]);
  if (scheme.type === 'null') return;
  w.u16(hashAlgOf(scheme.hash));
  if (scheme.type === 'ecdaa') w.u16(scheme.count);
}

/** @throws {ParseError} for an unknown key derivation */
export function readTpmtKdfScheme(r: Reader): TpmtKdfScheme {
  const type = readKnown(r, 'kdf', KDF_OF);
  return type === 'null' ? { type } : { type, hash: readHash(r, 'kdf.hashAlg') };
}

export function writeTpmtKdfScheme(w: Writer, kdf: TpmtKdfScheme): void {
  w.u16(KDFS[kdf.type]);
  if (kdf.type !== 'null') w.u16(hashAlgOf(kdf.hash));
}

function invert<K extends string>(table: Readonly<Record<K, number>>): ReadonlyMap<number, K> {
  const names: K[] = [];
  for (const name in table) names.push(name);
  return new Map(names.map((name) => [table[name], name]));
}
