import { hash, X509Certificate } from 'node:crypto';
import { equalBytes, toHex } from '../../core/bytes/encoding.ts';
import { concat } from '../../core/bytes/writer.ts';
import type { Finding } from '../../core/finding.ts';
import { digestSize, type HashName } from '../../core/tpm/constants.ts';
import type { PcrValues } from '../../core/tpm/pcr-selection.ts';

/** Where agents of the Keylime family put the hash of their public key before each quote. */
export const CHANNEL_PCR = 16;

/** What PCR 16 holds when it was reset and then extended with the hash of the key's PEM text. */
export function channelValue(bank: HashName, publicKeyPem: string): Uint8Array {
  const measured = hash(bank, publicKeyPem, 'buffer');
  return hash(bank, concat(new Uint8Array(digestSize(bank)), measured), 'buffer');
}

/** PEM of the key in a TLS certificate, as the agent writes it: what binds the connection to the quote. */
export function channelKeyOf(tlsCertificate: Uint8Array): string {
  return String(new X509Certificate(tlsCertificate).publicKey.export({ type: 'spki', format: 'pem' }));
}

/** Rule `quote.channel`: the key that the TPM quoted is the one at the other end of the connection. */
export function evaluateChannel(pcrs: PcrValues, expected: Uint8Array): Finding[] {
  const found = pcrs.get(CHANNEL_PCR);
  if (found && equalBytes(found, expected)) return [];
  const message = `PCR ${CHANNEL_PCR} is ${found ? toHex(found) : 'missing'}, the hash of the node's TLS key gives ${toHex(expected)}`;
  return [{ rule: 'quote.channel', pcr: CHANNEL_PCR, message }];
}
