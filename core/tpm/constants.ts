/**
 * Constants of the TPM 2.0 Library Specification, Part 2 (Structures), revision 1.59. Section numbers in
 * core/tpm are those of that revision; constants that nothing here needs are left out.
 */

/** TPM_GENERATED_VALUE (6.2): starts every structure that a restricted key signs on its TPM's own word. */
export const TPM_GENERATED_VALUE = 0xff544347;

/** TPM_ALG_ID (6.3). */
export const TPM_ALG = {
  RSA: 0x0001,
  SHA1: 0x0004,
  HMAC: 0x0005,
  AES: 0x0006,
  MGF1: 0x0007,
  KEYEDHASH: 0x0008,
  XOR: 0x000a,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
  NULL: 0x0010,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  ECDH: 0x0019,
  ECDAA: 0x001a,
  ECSCHNORR: 0x001c,
  ECMQV: 0x001d,
  KDF1_SP800_56A: 0x0020,
  KDF2: 0x0021,
  KDF1_SP800_108: 0x0022,
  ECC: 0x0023,
  SYMCIPHER: 0x0025,
  CTR: 0x0040,
  OFB: 0x0041,
  CBC: 0x0042,
  CFB: 0x0043,
  ECB: 0x0044,
} as const;

/** TPM_ECC_CURVE (6.4). */
export const TPM_ECC_CURVE = { NIST_P256: 0x0003, NIST_P384: 0x0004, NIST_P521: 0x0005 } as const;

/** TPM_CC (6.5.2). */
export const TPM_CC = {
  EvictControl: 0x00000120,
  CreatePrimary: 0x00000131,
  PCR_Reset: 0x0000013d,
  SelfTest: 0x00000143,
  Startup: 0x00000144,
  Shutdown: 0x00000145,
  ActivateCredential: 0x00000147,
  Certify: 0x00000148,
  NV_Read: 0x0000014e,
  PolicySecret: 0x00000151,
  Create: 0x00000153,
  Load: 0x00000157,
  Quote: 0x00000158,
  Sign: 0x0000015d,
  FlushContext: 0x00000165,
  LoadExternal: 0x00000167,
  MakeCredential: 0x00000168,
  NV_ReadPublic: 0x00000169,
  PolicyOR: 0x00000171,
  ReadPublic: 0x00000173,
  StartAuthSession: 0x00000176,
  GetCapability: 0x0000017a,
  GetRandom: 0x0000017b,
  PCR_Read: 0x0000017e,
  ReadClock: 0x00000181,
  PCR_Extend: 0x00000182,
} as const;

/** TPM_RC (6.6.3): those that a caller acts upon; others are shown as numbers. */
export const TPM_RC = {
  SUCCESS: 0x000,
  VALUE: 0x084,
  HANDLE: 0x08b,
  AUTH_FAIL: 0x08e,
  INTEGRITY: 0x09f,
  INITIALIZE: 0x100,
  FAILURE: 0x101,
  COMMAND_CODE: 0x143,
  OBJECT_MEMORY: 0x902,
  SESSION_MEMORY: 0x903,
  YIELDED: 0x908,
  TESTING: 0x90a,
  LOCKOUT: 0x921,
  RETRY: 0x922,
} as const;

/** TPM_ST (6.9). */
export const TPM_ST = {
  NO_SESSIONS: 0x8001,
  SESSIONS: 0x8002,
  ATTEST_CERTIFY: 0x8017,
  ATTEST_QUOTE: 0x8018,
  ATTEST_CREATION: 0x801a,
  CREATION: 0x8021,
  HASHCHECK: 0x8024,
} as const;

/** TPM_SE (6.11). */
export const TPM_SE = { HMAC: 0x00, POLICY: 0x01, TRIAL: 0x03 } as const;

/** TPM_CAP (6.12). */
export const TPM_CAP = { HANDLES: 0x00000001, PCRS: 0x00000005, TPM_PROPERTIES: 0x00000006 } as const;

/** TPM_PT (6.13). */
export const TPM_PT = {
  MANUFACTURER: 0x00000105,
  VENDOR_STRING_1: 0x00000106,
  FIRMWARE_VERSION_1: 0x0000010b,
  FIRMWARE_VERSION_2: 0x0000010c,
  NV_BUFFER_MAX: 0x0000012c,
} as const;

/** TPM_RH (7.4). */
export const TPM_RH = {
  OWNER: 0x40000001,
  NULL: 0x40000007,
  PW: 0x40000009,
  LOCKOUT: 0x4000000a,
  ENDORSEMENT: 0x4000000b,
  PLATFORM: 0x4000000c,
} as const;

/** Number of PCRs that a selection can name (TPM 2.0 PC Client Platform Profile, 3.8: PCR 0 to 23). */
export const PCR_COUNT = 24;

/** Values in one TPML_DIGEST (10.9.6), which is what TPM2_PCR_Read answers at most. */
export const MAX_DIGESTS = 8;
/** Longest digest of an algorithm we accept: SHA-512. */
export const MAX_DIGEST_BYTES = 64;
/** Longest TPMT_HA, and so TPM2B_NAME and TPM2B_DATA: an algorithm and a digest. */
export const MAX_TPMT_HA_BYTES = 2 + MAX_DIGEST_BYTES;

/** Hash algorithms of PCR banks, names and signatures, by node:crypto's name. */
export type HashName = 'sha1' | 'sha256' | 'sha384' | 'sha512';

const HASHES: Readonly<Record<HashName, { readonly alg: number; readonly size: number }>> = {
  sha1: { alg: TPM_ALG.SHA1, size: 20 },
  sha256: { alg: TPM_ALG.SHA256, size: 32 },
  sha384: { alg: TPM_ALG.SHA384, size: 48 },
  sha512: { alg: TPM_ALG.SHA512, size: 64 },
};

const HASH_NAMES: ReadonlyMap<number, HashName> = new Map([
  [TPM_ALG.SHA1, 'sha1'],
  [TPM_ALG.SHA256, 'sha256'],
  [TPM_ALG.SHA384, 'sha384'],
  [TPM_ALG.SHA512, 'sha512'],
]);

/** The name of a TPM_ALG_ID that is a hash we know, else undefined. */
export function hashNameOf(alg: number): HashName | undefined {
  return HASH_NAMES.get(alg);
}

/** The TPM_ALG_ID of a hash. */
export function hashAlgOf(name: HashName): number {
  return HASHES[name].alg;
}

/** Bytes of a digest. */
export function digestSize(name: HashName): number {
  return HASHES[name].size;
}
