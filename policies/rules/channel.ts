import { equalBytes, toHex } from '../../core/bytes/encoding.ts';
import type { Finding } from '../../core/finding.ts';
import type { PcrValues } from '../../core/tpm/pcr-selection.ts';

/** Where agents of the Keylime family put the hash of their public key before each quote. */
export const CHANNEL_PCR = 16;

/**
 * Whose key PCR 16 names: that of the TLS connection, which binds the connection to the quote; or, with agents that
 * enrolled through Keylime's registration, the payload key that the agent reports. Then only the registered TLS
 * certificate says where the quote comes from.
 */
export type ChannelBinding = 'tls-key' | 'reported-key';

export interface ExpectedChannel {
  readonly binding: ChannelBinding;
  /** What PCR 16 must hold. */
  readonly value: Uint8Array;
}

const WHOSE: Readonly<Record<ChannelBinding, string>> = {
  'tls-key': "the node's TLS key",
  'reported-key': 'the payload key that the agent reported (which is not bound to the TLS connection)',
};

/** Rule `quote.channel`: the key that the TPM quoted is the expected one, by default that of the connection. */
export function evaluateChannel(pcrs: PcrValues, { binding, value }: ExpectedChannel): Finding[] {
  const found = pcrs.get(CHANNEL_PCR);
  if (found && equalBytes(found, value)) return [];
  const message = `PCR ${CHANNEL_PCR} is ${found ? toHex(found) : 'missing'}, the hash of ${WHOSE[binding]} gives ${toHex(value)}`;
  return [{ rule: 'quote.channel', pcr: CHANNEL_PCR, message }];
}
