import { X509Certificate } from 'node:crypto';
import { equalBytes } from '../../core/bytes/encoding.ts';
import { spkiOf } from '../../core/tpm/key.ts';
import { marshalTpmtPublic, type TpmtPublic } from '../../core/tpm/public.ts';

const EMPTY = new Uint8Array();

/**
 * A template of the low range with the manufacturer's nonce (TCG EK Credential Profile 2.5, 2.2.1.3):
 * at the start of the modulus, or as the x coordinate, in the place of zeros.
 */
export function withNonce(template: TpmtPublic, nonce: Uint8Array): TpmtPublic {
  if (template.type === 'rsa') return { ...template, unique: filled(template.unique.length, nonce) };
  const { x, y } = template.unique;
  return { ...template, unique: { x: filled(x.length, nonce), y } };
}

/** Whether a key is one that `template` may have made: all but `unique` is the same. */
export function isOfTemplate(publicArea: TpmtPublic, template: TpmtPublic): boolean {
  return equalBytes(marshalTpmtPublic(withoutKey(publicArea)), marshalTpmtPublic(withoutKey(template)));
}

/**
 * Whether the certificate is for this key, as far as OpenSSL reads the certificate: one that it does not
 * read, or none at all, speaks against no key.
 */
export function fitsCertificate(publicArea: TpmtPublic, certificate: Uint8Array | undefined): boolean {
  const certified = certificate === undefined ? undefined : certifiedSpki(certificate);
  return certified === undefined || equalBytes(certified, spkiOf(publicArea));
}

function certifiedSpki(certificate: Uint8Array): Uint8Array | undefined {
  try {
    return new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' });
  } catch {
    return undefined;
  }
}

function withoutKey(publicArea: TpmtPublic): TpmtPublic {
  if (publicArea.type === 'rsa') return { ...publicArea, unique: EMPTY };
  return { ...publicArea, unique: { x: EMPTY, y: EMPTY } };
}

function filled(length: number, start: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.max(length, start.length));
  bytes.set(start);
  return bytes;
}
