import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { pcrsOfBitmap } from '../../core/tpm/pcr-selection.ts';

/** PEM of a TLS identity, and the certificate's DER. */
export interface TlsIdentity {
  readonly der: Uint8Array;
  readonly certificate: string;
  readonly key: string;
}

export interface QuoteQuery {
  readonly nonce: string;
  readonly pcrs: readonly number[];
  /** First entry of the measurement list that is asked for. */
  readonly imaEntry?: number;
}

export interface PullAnswer {
  readonly status: number;
  readonly body: string;
}

export interface PullServerOptions {
  readonly tls: TlsIdentity;
  /** PEM of the CA of the one who may ask. */
  readonly clientCa: string;
  readonly onQuote: (query: QuoteQuery) => PullAnswer | Promise<PullAnswer>;
  /** Body of a revocation notice. */
  readonly onNotice: (body: string) => void;
}

const MAX_BODY_BYTES = 64 * 1024;
const KEEP_ALIVE_MS = 600_000;

/** What a node serves to its verifier: Keylime's pull API 2.x over mTLS, as far as a verifier polls it. */
export class PullServer {
  readonly #server: Server;

  constructor(options: PullServerOptions) {
    const { tls, clientCa } = options;
    this.#server = createServer(
      { cert: tls.certificate, key: tls.key, ca: clientCa, requestCert: true, rejectUnauthorized: true },
      (request, response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        request.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size <= MAX_BODY_BYTES) chunks.push(chunk);
        });
        request.on('end', () => {
          const body = Buffer.concat(chunks).toString('utf8');
          void reply(options, request.url ?? '', body).then(({ status, body: text }) => {
            response.writeHead(status, { 'content-type': 'application/json' }).end(text);
          });
        });
      },
    );
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
  }

  /** @param port 0 for whatever is free */
  async listen(host: string, port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  get port(): number {
    const address: AddressInfo | string | null = this.#server.address();
    if (typeof address !== 'object' || address === null) throw new Error('the server does not listen');
    return address.port;
  }

  /** Breaks what is connected, as a boot does. */
  disconnect(): void {
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

/** An answer as Keylime wraps it. */
export function success(results: object | null): PullAnswer {
  return { status: 200, body: JSON.stringify({ code: 200, status: 'Success', results }) };
}

async function reply(
  { onQuote, onNotice }: PullServerOptions,
  url: string,
  body: string,
): Promise<PullAnswer> {
  const { pathname, searchParams } = new URL(url, 'https://node');
  if (pathname.endsWith('/notifications/revocation')) {
    onNotice(body);
    return success(null);
  }
  if (!pathname.endsWith('/quotes/integrity')) return { status: 404, body: '{}' };
  const mask = Number.parseInt(searchParams.get('mask') ?? '0', 16);
  const bitmap = Uint8Array.of(mask & 0xff, (mask >> 8) & 0xff, (mask >> 16) & 0xff);
  const imaEntry = Number(searchParams.get('ima_ml_entry') ?? '0');
  return onQuote({ nonce: searchParams.get('nonce') ?? '', pcrs: pcrsOfBitmap(bitmap), imaEntry });
}
