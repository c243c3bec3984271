import { createCipheriv, createDecipheriv, createHmac, type KeyObject } from 'node:crypto';
import { equalBytes } from '../bytes/encoding.ts';
import { Reader } from '../bytes/reader.ts';
import { Writer } from '../bytes/writer.ts';
import { AssayError } from '../errors.ts';
import { digestSize, MAX_DIGEST_BYTES } from './constants.ts';
import { kdfa } from './kdf.ts';
import type { TpmtPublic } from './public.ts';
import { type RandomBytes, recoverSeed, shareSeed } from './seed.ts';

/** What TPM2_ActivateCredential takes (Part 3, 12.5): a secret for one object in the TPM of one EK. */
export interface Credential {
  /** Contents of the TPM2B_ID_OBJECT (Part 2, 12.4.3), without its size. */
  readonly idObject: Uint8Array;
  /** Contents of the TPM2B_ENCRYPTED_SECRET (11.4.33), without its size. */
  readonly encryptedSecret: Uint8Array;
}

export interface MakeCredentialInput {
  /** Must have passed checkEndorsementKey. */
  readonly ek: TpmtPublic;
  /** The Name that we computed of the key that shall be proven to be in the EK's TPM. */
  readonly objectName: Uint8Array;
  /** Not longer than a digest of the EK's name algorithm. */
  readonly secret: Uint8Array;
  readonly randomBytes: RandomBytes;
}

export interface ActivateCredentialInput {
  readonly ek: TpmtPublic;
  readonly ekPrivate: KeyObject;
  readonly objectName: Uint8Array;
  readonly credential: Credential;
}

const BLOB_MAGIC = 0xbadcc0de;
const BLOB_VERSION = 1;
const MAX_ID_OBJECT_BYTES = 2 * (2 + MAX_DIGEST_BYTES);
const MAX_ENCRYPTED_SECRET_BYTES = 512;

/**
 * TPM2_MakeCredential (Part 1, section 24) in software: the answer to it shows that an object of that
 * Name and the EK are in one TPM.
 *
 * @throws {RangeError} for a secret that the EK's TPM would not take, or an EK without AES-CFB
 */
export function makeCredential({ ek, objectName, secret, randomBytes }: MakeCredentialInput): Credential {
  if (secret.length === 0 || secret.length > digestSize(ek.nameAlg)) {
    throw new RangeError(`a secret of ${secret.length} bytes cannot be sent to an EK with ${ek.nameAlg}`);
  }
  const { seed, encryptedSecret } = shareSeed(ek, randomBytes);
  const { algorithm, key, iv } = outerCipher(ek, seed, objectName);
  const cipher = createCipheriv(algorithm, key, iv);
  const encIdentity = cipher.update(new Writer().sized16(secret).bytes());
  const idObject = new Writer().sized16(outerHmac(ek, seed, encIdentity, objectName)).raw(encIdentity);
  return { idObject: idObject.bytes(), encryptedSecret };
}

/**
 * TPM2_ActivateCredential for an EK in software, which is never a TPM: for simulated fleets and tests.
 *
 * @throws {ParseError} for a malformed credential
 * @throws {AssayError} `activation-failed` for a credential of another EK or another object
 */
export function activateCredential(input: ActivateCredentialInput): Uint8Array {
  const { ek, objectName, credential } = input;
  const r = new Reader(credential.idObject, 'TPMS_ID_OBJECT');
  const integrity = r.sized16('integrityHMAC', MAX_DIGEST_BYTES);
  const encIdentity = r.raw(r.remaining, 'encIdentity');
  const seed = tryRecoverSeed(input);
  if (!equalBytes(integrity, outerHmac(ek, seed, encIdentity, objectName))) throw notForUs();
  const { algorithm, key, iv } = outerCipher(ek, seed, objectName);
  const inner = new Reader(createDecipheriv(algorithm, key, iv).update(encIdentity), 'TPM2B_DIGEST');
  const secret = inner.sized16('buffer', digestSize(ek.nameAlg));
  inner.end();
  return secret;
}

/** The file format of tpm2-tools, which Keylime's registrar answers in: magic, version, both structures. */
export function renderCredentialBlob({ idObject, encryptedSecret }: Credential): Uint8Array {
  return new Writer().u32(BLOB_MAGIC).u32(BLOB_VERSION).sized16(idObject).sized16(encryptedSecret).bytes();
}

/** @throws {ParseError} unless `bytes` is exactly one credential file of tpm2-tools */
export function parseCredentialBlob(bytes: Uint8Array): Credential {
  const r = new Reader(bytes, 'credential');
  if (r.u32('magic') !== BLOB_MAGIC) r.fail('magic', 'is not 0xbadcc0de', 'bytes.known');
  if (r.u32('version') !== BLOB_VERSION) r.fail('version', `is not ${BLOB_VERSION}`, 'bytes.known');
  const idObject = r.sized16('idObject', MAX_ID_OBJECT_BYTES);
  const encryptedSecret = r.sized16('encryptedSecret', MAX_ENCRYPTED_SECRET_BYTES);
  r.end();
  return { idObject, encryptedSecret };
}

function tryRecoverSeed({ ek, ekPrivate, credential }: ActivateCredentialInput): Uint8Array {
  try {
    return recoverSeed(ek, ekPrivate, credential.encryptedSecret);
  } catch (error) {
    throw error instanceof AssayError ? error : notForUs();
  }
}

function outerCipher(ek: TpmtPublic, seed: Uint8Array, objectName: Uint8Array) {
  const { symmetric, nameAlg: hash } = ek;
  if (symmetric.type !== 'aes' || symmetric.mode !== 'cfb') throw new RangeError('the EK has no AES-CFB');
  const bits = symmetric.keyBits;
  const key = kdfa({ hash, key: seed, label: 'STORAGE', contextU: objectName, bits });
  return { algorithm: `aes-${bits}-cfb`, key, iv: new Uint8Array(16) };
}

function outerHmac(
  { nameAlg: hash }: TpmtPublic,
  seed: Uint8Array,
  encIdentity: Uint8Array,
  objectName: Uint8Array,
): Uint8Array {
  const key = kdfa({ hash, key: seed, label: 'INTEGRITY', bits: 8 * digestSize(hash) });
  return createHmac(hash, key).update(encIdentity).update(objectName).digest();
}

function notForUs(): AssayError {
  return new AssayError(
    'activation-failed',
    'the credential was made for another EK or another key, or was changed',
  );
}
