import { hash } from 'node:crypto';
import { equalBytes } from '../../core/bytes/encoding.ts';
import { concat } from '../../core/bytes/writer.ts';
import { AssayError } from '../../core/errors.ts';
import { parseTpmsAttest } from '../../core/tpm/attest.ts';
import { digestSize, type HashName } from '../../core/tpm/constants.ts';
import type { PcrValues, TpmsPcrSelection } from '../../core/tpm/pcr-selection.ts';
import { parseTpmtSignature } from '../../core/tpm/signature.ts';
import type { AttestationKey } from './attestation-key.ts';
import type { TpmChannel } from './channel.ts';
import { type Attestation, quotePcrs } from './commands/attestation.ts';
import { pcrExtend, pcrRead, pcrReset } from './commands/pcr.ts';

/** The PCR that carries the agent's TLS key: the operating system may reset it. */
const BINDING_PCR = 16;
const MAX_ATTEMPTS = 5;

export interface QuoteRequest {
  readonly nonce: Uint8Array;
  readonly bank: HashName;
  readonly pcrs: readonly number[];
  /**
   * What PCR 16 must be extended with, after a reset, when the quote is taken; a digest of the bank's
   * length. PCR 16 must be among `pcrs`.
   */
  readonly binding?: Uint8Array | undefined;
}

export interface QuoteResult extends Attestation {
  /** The values that were quoted: their digest is the one in `attest`. */
  readonly pcrValues: PcrValues;
}

/**
 * Takes quotes. While no PCR changes, a quote costs the TPM one command: values of an earlier reading
 * are used again when the digest in the new quote proves that they still hold.
 */
export class Quoter {
  readonly #ak: AttestationKey;
  readonly #known = new Map<HashName, Map<number, Uint8Array>>();

  constructor(ak: AttestationKey) {
    this.#ak = ak;
  }

  /**
   * @throws {AssayError} `invalid-request` when the TPM has no such bank or PCR, `unavailable` when the
   *   PCRs do not keep still for five attempts
   */
  quote(request: QuoteRequest): Promise<QuoteResult> {
    if (request.binding !== undefined && !request.pcrs.includes(BINDING_PCR)) {
      throw new RangeError(`PCR ${BINDING_PCR} must be quoted when something is bound to it`);
    }
    return this.#ak.tpm.use((channel) =>
      this.#ak.withHandle(channel, async (handle) => {
        for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
          const result = await this.#attempt(channel, handle, request);
          if (result !== undefined) return result;
        }
        throw new AssayError('unavailable', `PCRs changed during each of ${MAX_ATTEMPTS} quotes; try again`);
      }),
    );
  }

  /** A quote with its values, unless PCRs changed in between or PCR 16 is not what it must be. */
  async #attempt(
    channel: TpmChannel,
    handle: number,
    { nonce, bank, pcrs, binding }: QuoteRequest,
  ): Promise<QuoteResult | undefined> {
    const selection = { hash: bank, pcrs: [...new Set(pcrs)].sort((a, b) => a - b) };
    const attestation = await quotePcrs(channel, handle, nonce, [selection]);
    const proof = readProof(attestation, selection);
    const pcrValues = this.#fromMemory(selection, proof) ?? (await this.#fromTpm(channel, selection, proof));
    if (pcrValues === undefined) return undefined;
    if (binding !== undefined && !isBound(bank, pcrValues, binding)) {
      await bindPcr16(channel, bank, binding);
      return undefined;
    }
    return { ...attestation, pcrValues };
  }

  /** What an earlier reading says, if the new quote is over exactly that. */
  #fromMemory(selection: TpmsPcrSelection, proof: DigestProof): PcrValues | undefined {
    const known = this.#known.get(selection.hash);
    const values = new Map<number, Uint8Array>();
    for (const pcr of selection.pcrs) {
      const value = known?.get(pcr);
      if (value === undefined) return undefined;
      values.set(pcr, value);
    }
    return proves(proof, values) ? values : undefined;
  }

  async #fromTpm(
    channel: TpmChannel,
    selection: TpmsPcrSelection,
    proof: DigestProof,
  ): Promise<PcrValues | undefined> {
    const values = await pcrRead(channel, selection.hash, selection.pcrs);
    const known = this.#known.get(selection.hash) ?? new Map<number, Uint8Array>();
    for (const [pcr, value] of values) known.set(pcr, value);
    this.#known.set(selection.hash, known);
    return proves(proof, values) ? values : undefined;
  }
}

/**
 * Sees to it that PCR 16 of `bank` is zero extended once with `digest`. The reset this may need clears
 * PCR 16 in all banks.
 */
export async function bindPcr16(channel: TpmChannel, bank: HashName, digest: Uint8Array): Promise<void> {
  if (isBound(bank, await pcrRead(channel, bank, [BINDING_PCR]), digest)) return;
  await pcrReset(channel, BINDING_PCR);
  await pcrExtend(channel, BINDING_PCR, bank, digest);
}

interface DigestProof {
  readonly hash: HashName;
  readonly pcrDigest: Uint8Array;
}

/** @throws {AssayError} `invalid-request` unless the quote is over what was asked for */
function readProof({ attest, signature }: Attestation, selection: TpmsPcrSelection): DigestProof {
  const { attested } = parseTpmsAttest(attest);
  if (attested.type !== 'quote')
    throw new AssayError('unavailable', 'the TPM answered a quote with something else');
  const quoted = attested.pcrSelect.find(({ hash }) => hash === selection.hash)?.pcrs ?? [];
  const missing = selection.pcrs.filter((pcr) => !quoted.includes(pcr));
  // A TPM quotes a bank that it does not have with an empty selection, and without an error.
  if (missing.length > 0) {
    throw new AssayError(
      'invalid-request',
      `this TPM has no PCR ${missing.join(', ')} in bank ${selection.hash}`,
    );
  }
  // The digest over the PCRs uses the hash of the signature, whatever the bank is.
  return { hash: parseTpmtSignature(signature).hash, pcrDigest: attested.pcrDigest };
}

function proves({ hash: digestHash, pcrDigest }: DigestProof, values: PcrValues): boolean {
  const inOrder = [...values].sort(([a], [b]) => a - b).map(([, value]) => value);
  return equalBytes(hash(digestHash, concat(...inOrder), 'buffer'), pcrDigest);
}

function isBound(bank: HashName, values: PcrValues, digest: Uint8Array): boolean {
  const extended = concat(new Uint8Array(digestSize(bank)), digest);
  return equalBytes(values.get(BINDING_PCR) ?? new Uint8Array(), hash(bank, extended, 'buffer'));
}
