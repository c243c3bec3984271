import { createHash, createPublicKey } from 'node:crypto';
import { renderPcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { renderQuoteString } from '../../core/messages/keylime/quote-string.ts';
import type { MeasuredFiles } from '../../tpm-sim/fleet/measured-files.ts';
import {
  type PullAnswer,
  PullServer,
  type QuoteQuery,
  success,
  type TlsIdentity,
} from '../../tpm-sim/fleet/pull-server.ts';
import { SoftwareTpm } from '../../tpm-sim/fleet/software-tpm.ts';

export { type QuoteQuery, success, type TlsIdentity as AgentTls } from '../../tpm-sim/fleet/pull-server.ts';

/** What an agent answers to a request for a quote; a test replaces it to have the agent lie. */
export type Answer = (query: QuoteQuery) => PullAnswer | Promise<PullAnswer>;

export interface FakeAgentOptions {
  readonly tls: TlsIdentity;
  /** PEM of the CA of the one who may ask. */
  readonly clientCa: string;
  readonly tpm?: SoftwareTpm;
  readonly port?: number;
  /** PEM of a key of its own for payloads, as stock agents have one: quotes then bind it in place of the TLS key. */
  readonly payloadKey?: string;
}

const CHANNEL_PCR = 16;
const IMA_PCR = 10;

/** An agent of the Keylime family (API 2.x, pull) on a TPM in software, over real mTLS on loopback. */
export class FakeAgent {
  readonly tpm: SoftwareTpm;
  readonly tls: TlsIdentity;
  /** Answers to requests for a quote. */
  answer: Answer;
  /** Bodies of revocation notices. */
  readonly notices: string[] = [];
  /** What it measured of its files, when it does. */
  files: MeasuredFiles | undefined;
  /** The log of its firmware, when it has one. */
  boot: Uint8Array | undefined;
  /** Requests for quotes so far. */
  quotes = 0;
  readonly #server: PullServer;
  readonly #payloadKey: string | undefined;

  private constructor(options: FakeAgentOptions) {
    const { tls, clientCa, tpm = new SoftwareTpm(() => performance.now()) } = options;
    this.#payloadKey = options.payloadKey;
    this.tpm = tpm;
    this.tls = tls;
    this.answer = (query) => this.honest(query);
    this.#server = new PullServer({
      tls,
      clientCa,
      onQuote: (query) => {
        this.quotes += 1;
        return this.answer(query);
      },
      onNotice: (body) => this.notices.push(body),
    });
  }

  static async start(options: FakeAgentOptions): Promise<FakeAgent> {
    const agent = new FakeAgent(options);
    await agent.#server.listen('127.0.0.1', options.port ?? 0);
    return agent;
  }

  get port(): number {
    return this.#server.port;
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  honest(query: QuoteQuery): PullAnswer {
    const quote = this.quote(query);
    const list = query.pcrs.includes(IMA_PCR) ? this.files?.from(query.imaEntry ?? 0) : undefined;
    return success({
      quote,
      ...(this.#payloadKey === undefined ? {} : { pubkey: this.#payloadKey }),
      ...(this.boot ? { mb_measurement_list: Buffer.from(this.boot).toString('base64') } : {}),
      ...(list ? { ima_measurement_list: list.text, ima_measurement_list_entry: list.firstEntry } : {}),
    });
  }

  /** Binds the channel and quotes, as an agent does. */
  quote({ nonce, pcrs }: QuoteQuery): string {
    const publicKey =
      this.#payloadKey ?? createPublicKey(this.tls.key).export({ type: 'spki', format: 'pem' });
    this.tpm.bind(CHANNEL_PCR, createHash('sha256').update(publicKey).digest());
    return quoteString(this.tpm, nonce, [...new Set([...pcrs, CHANNEL_PCR])]);
  }
}

/** A quote in Keylime's form, of whatever the TPM holds now. */
export function quoteString(tpm: SoftwareTpm, nonce: string, pcrs: readonly number[]): string {
  const { attest, signature, values, selections } = tpm.quote(Buffer.from(nonce), pcrs);
  return renderQuoteString({ attest, signature, pcrBlob: renderPcrBlob(selections, values) });
}
