import { createHash, createPublicKey } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { renderPcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { renderQuoteString } from '../../core/messages/keylime/quote-string.ts';
import { pcrsOfBitmap } from '../../core/tpm/pcr-selection.ts';
import { SoftwareTpm } from '../../tpm-sim/fleet/software-tpm.ts';

/** PEM of a TLS identity, and the certificate's DER. */
export interface AgentTls {
  readonly der: Uint8Array;
  readonly certificate: string;
  readonly key: string;
}

export interface QuoteQuery {
  readonly nonce: string;
  readonly pcrs: readonly number[];
}

/** What an agent answers to a request for a quote; a test replaces it to have the agent lie. */
export type Answer = (
  query: QuoteQuery,
) =>
  | { readonly status: number; readonly body: string }
  | Promise<{ readonly status: number; readonly body: string }>;

export interface FakeAgentOptions {
  readonly tls: AgentTls;
  /** PEM of the CA of the one who may ask. */
  readonly clientCa: string;
  readonly tpm?: SoftwareTpm;
  readonly port?: number;
}

const CHANNEL_PCR = 16;

/** An agent of the Keylime family (API 2.x, pull) on a TPM in software, over real mTLS on loopback. */
export class FakeAgent {
  readonly tpm: SoftwareTpm;
  readonly tls: AgentTls;
  /** Answers to requests for a quote. */
  answer: Answer;
  /** Bodies of revocation notices. */
  readonly notices: string[] = [];
  /** Requests for quotes so far. */
  quotes = 0;
  readonly #server: Server;

  constructor({ tls, clientCa, tpm = new SoftwareTpm(() => performance.now()) }: FakeAgentOptions) {
    this.tpm = tpm;
    this.tls = tls;
    this.answer = (query) => this.honest(query);
    this.#server = createServer(
      { cert: tls.certificate, key: tls.key, ca: clientCa, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => {
          body += chunk.toString('utf8');
        });
        request.on('end', async () => {
          const { status, body: text } = await this.#reply(new URL(request.url ?? '', 'https://agent'), body);
          response.writeHead(status, { 'content-type': 'application/json' }).end(text);
        });
      },
    );
    this.#server.keepAliveTimeout = 600_000;
  }

  static async start(options: FakeAgentOptions): Promise<FakeAgent> {
    const agent = new FakeAgent(options);
    await new Promise<void>((resolve) => agent.#server.listen(options.port ?? 0, '127.0.0.1', resolve));
    return agent;
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the agent does not listen');
    return address.port;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  honest(query: QuoteQuery): { readonly status: number; readonly body: string } {
    return success({ quote: this.quote(query) });
  }

  /** Binds the channel and quotes, as an agent does. */
  quote({ nonce, pcrs }: QuoteQuery): string {
    const publicKey = createPublicKey(this.tls.key).export({ type: 'spki', format: 'pem' });
    this.tpm.bind(CHANNEL_PCR, createHash('sha256').update(publicKey).digest());
    return quoteString(this.tpm, nonce, [...new Set([...pcrs, CHANNEL_PCR])]);
  }

  async #reply({ pathname, searchParams }: URL, body: string) {
    if (pathname.endsWith('/notifications/revocation')) {
      this.notices.push(body);
      return success(null);
    }
    if (!pathname.endsWith('/quotes/integrity')) return { status: 404, body: '{}' };
    this.quotes += 1;
    const mask = Number.parseInt(searchParams.get('mask') ?? '0', 16);
    const bitmap = Uint8Array.of(mask & 0xff, (mask >> 8) & 0xff, (mask >> 16) & 0xff);
    return this.answer({ nonce: searchParams.get('nonce') ?? '', pcrs: pcrsOfBitmap(bitmap) });
  }
}

export function success(results: object | null) {
  return { status: 200, body: JSON.stringify({ code: 200, status: 'Success', results }) };
}

/** A quote in Keylime's form, of whatever the TPM holds now. */
export function quoteString(tpm: SoftwareTpm, nonce: string, pcrs: readonly number[]): string {
  const { attest, signature, values, selections } = tpm.quote(Buffer.from(nonce), pcrs);
  return renderQuoteString({ attest, signature, pcrBlob: renderPcrBlob(selections, values) });
}
