import { Client } from 'undici';
import type { Problem } from '../../core/messages/common.ts';
import type { TlsIdentity } from './pull-server.ts';

export interface ServiceClientOptions {
  readonly url: string;
  /** PEM of the service CA. */
  readonly ca: string;
  readonly tls: TlsIdentity;
  /** Where the connection comes from: each node of a fleet has an address of its own. */
  readonly localAddress: string;
}

/** A service refused; `code` is its stable error code, `rule` that of the first finding. */
export class RefusedError extends Error {
  readonly status: number;
  readonly code: string;
  readonly rules: readonly string[];

  constructor(status: number, { code, detail, title, findings }: Partial<Problem>) {
    super(detail ?? title ?? `status ${status}`);
    this.status = status;
    this.code = code ?? 'unknown';
    this.rules = (findings ?? []).flatMap(({ rule }) => (rule === undefined ? [] : [rule]));
  }
}

/** One connection of a node to a service, with the node's certificate. */
export class ServiceClient {
  readonly #client: Client;

  constructor({ url, ca, tls, localAddress }: ServiceClientOptions) {
    this.#client = new Client(url, {
      localAddress,
      connect: { ca, cert: tls.certificate, key: tls.key },
      headersTimeout: 60_000,
      bodyTimeout: 60_000,
    });
  }

  /** @throws {RefusedError} for an answer that is no success */
  async post<T>(path: string, body: object): Promise<T> {
    const response = await this.#client.request({
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.body.text();
    if (response.statusCode >= 400) throw new RefusedError(response.statusCode, problemOf(text));
    return JSON.parse(text) as T;
  }

  close(): Promise<void> {
    return this.#client.destroy();
  }
}

function problemOf(text: string): Partial<Problem> {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
