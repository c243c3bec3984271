import { createCipheriv, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { toBase64 } from '../../core/bytes/encoding.ts';
import type { IssuedCertificate } from '../../core/messages/issue.ts';
import { makeCredential, renderCredentialBlob } from '../../core/tpm/credential.ts';
import { computeName } from '../../core/tpm/name.ts';
import { parseTpm2bPublic } from '../../core/tpm/public.ts';
import type { RandomBytes } from '../../core/tpm/seed.ts';
import type { IssuedNode } from './ports.ts';

const AES_KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** A node CA key that is made here, sent once, and kept nowhere. */
export interface DeliverableKey {
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly privateKey: KeyObject;
}

export function createDeliverableKey(): DeliverableKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })), privateKey };
}

/**
 * Encrypts the key so that only the TPM that holds this node's EK and AK can read it: AES-256-GCM, bound to the
 * certificate, under a key that travels in a TPM2_MakeCredential blob.
 */
export function wrapKey(
  key: DeliverableKey,
  node: IssuedNode,
  certificate: Uint8Array,
  randomBytes: RandomBytes,
): NonNullable<IssuedCertificate['key']> {
  const secret = randomBytes(AES_KEY_BYTES);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', secret, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(certificate);
  const pkcs8 = key.privateKey.export({ type: 'pkcs8', format: 'der' });
  const ciphertext = Buffer.concat([cipher.update(pkcs8), cipher.final()]);
  pkcs8.fill(0);
  const credential = makeCredential({
    ek: parseTpm2bPublic(node.ekPublic),
    objectName: computeName(parseTpm2bPublic(node.akPublic)),
    secret,
    randomBytes,
  });
  secret.fill(0);
  return {
    credential: toBase64(renderCredentialBlob(credential)),
    iv: toBase64(iv),
    ciphertext: toBase64(ciphertext),
    tag: toBase64(cipher.getAuthTag()),
  };
}
