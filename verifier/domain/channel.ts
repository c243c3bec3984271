import { hash, X509Certificate } from 'node:crypto';
import { concat } from '../../core/bytes/writer.ts';
import { digestSize, type HashName } from '../../core/tpm/constants.ts';

/** What PCR 16 holds when it was reset and then extended with the hash of the key's PEM text. */
export function channelValue(bank: HashName, publicKeyPem: string): Uint8Array {
  const measured = hash(bank, publicKeyPem, 'buffer');
  return hash(bank, concat(new Uint8Array(digestSize(bank)), measured), 'buffer');
}

/** PEM of the key in a TLS certificate, as the agent writes it: what binds the connection to the quote. */
export function channelKeyOf(tlsCertificate: Uint8Array): string {
  return String(new X509Certificate(tlsCertificate).publicKey.export({ type: 'spki', format: 'pem' }));
}
