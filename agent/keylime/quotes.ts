import { createHash } from 'node:crypto';
import { renderPcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { renderQuoteString } from '../../core/messages/keylime/quote-string.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import type { PcrValues } from '../../core/tpm/pcr-selection.ts';

/** PCR that carries the agent's TLS key in every quote. */
const BINDING_PCR = 16;

export interface QuoteRequest {
  readonly nonce: Uint8Array;
  readonly bank: HashName;
  readonly pcrs: readonly number[];
  /** PCR 16 must be zero extended once with this; left as it is when undefined. */
  readonly binding: Uint8Array | undefined;
}

export interface QuoteResult {
  readonly attest: Uint8Array;
  readonly signature: Uint8Array;
  readonly pcrValues: PcrValues;
}

/** The AK of the node, as far as a quote needs it. */
export interface QuoteSource {
  /** Keylime's names of the AK's algorithm: `rsa2048`, `rsassa`. */
  readonly encAlg: string;
  readonly signAlg: string;
  quote(request: QuoteRequest): Promise<QuoteResult>;
}

export interface QuoteFields {
  readonly quote: string;
  readonly hash_alg: string;
  readonly enc_alg: string;
  readonly sign_alg: string;
}

/**
 * A quote over `pcrs` and PCR 16 in Keylime's form. PCR 16 holds the hash of `publicKeyPem`, the key of
 * this server's certificate, which binds the connection to the TPM.
 */
export async function quoteFields(
  source: QuoteSource,
  request: {
    readonly nonce: Uint8Array;
    readonly bank: HashName;
    readonly pcrs: readonly number[];
    readonly publicKeyPem: string;
    /** Minor version of the API, which decides how the key's algorithm is called. */
    readonly minor: number;
  },
): Promise<QuoteFields> {
  const { nonce, bank, publicKeyPem, minor } = request;
  const pcrs = [...new Set([...request.pcrs, BINDING_PCR])].sort((a, b) => a - b);
  const binding = createHash(bank).update(publicKeyPem).digest();
  const { attest, signature, pcrValues } = await source.quote({ nonce, bank, pcrs, binding });
  const pcrBlob = renderPcrBlob([{ hash: bank, pcrs }], new Map([[bank, pcrValues]]));
  return {
    quote: renderQuoteString({ attest, signature, pcrBlob }),
    hash_alg: bank,
    // Up to 2.4 the size of the key was not part of its name.
    enc_alg: minor < 5 ? source.encAlg.replace(/\d+$/, '') : source.encAlg,
    sign_alg: source.signAlg,
  };
}
