import { hash } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { concat } from '../../core/bytes/writer.ts';
import { parseImaAscii } from '../../core/ima/ascii.ts';
import { EVIDENCE_TYPE, renderEvidenceHeader } from '../../core/messages/evidence.ts';
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
  /** The request, as it came. */
  readonly url?: string;
}

export interface PullAnswer {
  readonly status: number;
  /** In Keylime's form. */
  readonly body: string;
  /** What the body carries. */
  readonly results?: object | null;
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

/** What a node serves to its verifier over mTLS: evidence by our route, and by Keylime's pull API 2.x. */
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
          void reply(options, request.url ?? '', body).then(({ status, type, content }) => {
            response.writeHead(status, { 'content-type': type }).end(content);
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
  return {
    status: 200,
    results,
    get body() {
      return JSON.stringify({ code: 200, status: 'Success', results });
    },
  };
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly content: string | Uint8Array;
}

async function reply({ onQuote, onNotice }: PullServerOptions, url: string, body: string): Promise<Reply> {
  const { pathname, searchParams: query } = new URL(url, 'https://node');
  if (pathname.endsWith('/notifications/revocation')) {
    onNotice(body);
    return keylime(success(null));
  }
  const isOurs = pathname === '/v1/evidence';
  if (!isOurs && !pathname.endsWith('/quotes/integrity')) return keylime({ status: 404, body: '{}' });
  const mask = Number.parseInt(query.get('mask') ?? '0', 16);
  const bitmap = Uint8Array.of(mask & 0xff, (mask >> 8) & 0xff, (mask >> 16) & 0xff);
  const [entry = '0'] = (query.get('ima') ?? query.get('ima_ml_entry') ?? '0').split('.');
  const asked = { nonce: query.get('nonce') ?? '', pcrs: pcrsOfBitmap(bitmap), imaEntry: Number(entry), url };
  const answer = await onQuote(asked);
  return isOurs && answer.results ? evidence(answer.results, query) : keylime(answer);
}

function keylime({ status, body }: PullAnswer): Reply {
  return { status, type: 'application/json', content: body };
}

/** The same in the form of our own route. */
function evidence(results: object, query: URLSearchParams): Reply {
  const text = Reflect.get(results, 'ima_measurement_list');
  const entry = Number(Reflect.get(results, 'ima_measurement_list_entry') ?? 0);
  const list = typeof text === 'string' ? parseImaAscii(Buffer.from(text)).bytes : undefined;
  const boot = Reflect.get(results, 'mb_measurement_list');
  const log = typeof boot === 'string' && query.has('boot') ? Buffer.from(boot, 'base64') : undefined;
  const isKnown = log && hash('sha256', log) === query.get('boot');
  const firmware = isKnown ? undefined : log;
  const header = renderEvidenceHeader({
    quote: String(Reflect.get(results, 'quote')),
    ...{ firmware: isKnown ? 'same' : (firmware?.length ?? null), userspace: null },
    ima: list ? { entry, offset: entry === 0 ? 0 : offsetIn(query) } : null,
  });
  const content = concat(header, firmware ?? new Uint8Array(), list ?? new Uint8Array());
  return { status: 200, type: EVIDENCE_TYPE, content };
}

function offsetIn(query: URLSearchParams): number {
  return Number(query.get('ima')?.split('.')[1] ?? 0);
}
