import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { Client } from 'undici';
import { equalBytes } from '../../core/bytes/encoding.ts';
import { PeerError, type PinnedPeer } from './peer.ts';
import { type Dialler, pinnedDialler } from './pinned-connect.ts';

export { PeerError, type PeerErrorReason, type PinnedPeer } from './peer.ts';

export interface PinnedRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  /** For all of it: name, connection, handshake, answer to its last byte. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

export interface PinnedAnswer {
  readonly status: number;
  readonly body: Buffer;
}

export interface PinnedPoolOptions {
  /** PEM; what the agent accepts us by. */
  readonly certificate: string;
  readonly key: string;
  /** CIDR ranges; a peer elsewhere is never connected to (rule `api.dial`). */
  readonly dial: readonly string[];
  readonly connectTimeoutMs?: number;
  readonly keepAliveMs?: number;
}

const CONNECT_TIMEOUT_MS = 5000;
const KEEP_ALIVE_MS = 600_000;
const MAX_HEADER_BYTES = 16 * 1024;

interface Kept {
  readonly peer: PinnedPeer;
  readonly client: Client;
}

/**
 * Kept-alive mTLS connections to many peers, one each, whose certificate must be exactly the registered one. The
 * connection goes to the address that was checked; redirects are not followed; answers are bounded.
 */
export class PinnedPool {
  readonly #dial: Dialler;
  readonly #keepAliveMs: number;
  readonly #kept = new Map<string, Kept>();

  constructor(options: PinnedPoolOptions) {
    this.#dial = pinnedDialler({ connectTimeoutMs: CONNECT_TIMEOUT_MS, ...options });
    this.#keepAliveMs = options.keepAliveMs ?? KEEP_ALIVE_MS;
  }

  /** @throws {PeerError} when there is no answer from that peer within the limits */
  async request(peer: PinnedPeer, request: PinnedRequest): Promise<PinnedAnswer> {
    return exchange(this.#clientOf(peer), request);
  }

  /** Closes the connection to a peer that is no longer polled. */
  async drop(id: string): Promise<void> {
    const kept = this.#kept.get(id);
    this.#kept.delete(id);
    await kept?.client.destroy();
  }

  async close(): Promise<void> {
    const all = [...this.#kept.values()];
    this.#kept.clear();
    await Promise.all(all.map(({ client }) => client.destroy()));
  }

  #clientOf(peer: PinnedPeer): Client {
    const kept = this.#kept.get(peer.id);
    if (kept && samePeer(kept.peer, peer)) return kept.client;
    // A node that enrolled again is another peer: what its old connection says is not about the new record.
    void kept?.client.destroy();
    const host = isIP(peer.host) === 6 ? `[${peer.host}]` : peer.host;
    const client = new Client(`https://${host}:${peer.port}`, {
      pipelining: 1,
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: this.#keepAliveMs,
      keepAliveMaxTimeout: this.#keepAliveMs,
      // One deadline for the whole request does the work of these.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: (_options, callback) => {
        this.#dial(peer).then(
          (socket) => callback(null, socket),
          (error: Error) => callback(error, null),
        );
      },
    });
    this.#kept.set(peer.id, { peer, client });
    return client;
  }
}

function samePeer(a: PinnedPeer, b: PinnedPeer): boolean {
  return a.host === b.host && a.port === b.port && equalBytes(a.tlsSha256, b.tlsSha256);
}

// A handler of our own: undici's streams for request and body cost more than the rest of a poll.
function exchange(client: Client, request: PinnedRequest): Promise<PinnedAnswer> {
  const { method, path, body, timeoutMs, maxBytes } = request;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status = 0;
    let size = 0;
    let ended = false;
    let controller: { abort(reason: Error): void } | undefined;
    const finish = (settle: () => void) => {
      if (ended) return;
      ended = true;
      clearTimeout(deadline);
      settle();
    };
    const fail = (error: Error) => finish(() => reject(asPeerError(error)));
    const giveUp = (error: PeerError) => {
      fail(error);
      controller?.abort(error);
    };
    const deadline = setTimeout(
      () => giveUp(new PeerError('timeout', `no whole answer within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const tooLarge = () => giveUp(new PeerError('too-large', `the answer is larger than ${maxBytes} bytes`));
    client.dispatch(
      { method, path, body: body ?? null, headers: body === undefined ? null : JSON_HEADERS },
      {
        onRequestStart(started) {
          controller = started;
          if (ended) started.abort(new PeerError('timeout', 'given up before it was sent'));
        },
        onResponseStart(_controller, statusCode, headers: IncomingHttpHeaders) {
          status = statusCode;
          if (Number(headers['content-length'] ?? 0) > maxBytes) tooLarge();
        },
        onResponseData(_controller, chunk) {
          size += chunk.length;
          if (size > maxBytes) return tooLarge();
          chunks.push(chunk);
        },
        onResponseEnd() {
          finish(() => resolve({ status, body: Buffer.concat(chunks, size) }));
        },
        onResponseError(_controller, error) {
          fail(error);
        },
      },
    );
  });
}

const JSON_HEADERS = { 'content-type': 'application/json' };

function asPeerError(error: Error): PeerError {
  if (error instanceof PeerError) return error;
  if (error.cause instanceof PeerError) return error.cause;
  const message = error.message || error.name;
  return new PeerError(/timeout/i.test(message) ? 'timeout' : 'unreachable', message, { cause: error });
}
