import { hash } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import tls from 'node:tls';
import { Client, type Dispatcher } from 'undici';
import { equalBytes } from '../../core/bytes/encoding.ts';

/** Where a node's agent answers and which certificate it must show: registrar's record, nobody else's word. */
export interface PinnedPeer {
  /** Connections are kept by this: the node's id and record version. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** SHA-256 of the certificate's DER. */
  readonly tlsSha256: Uint8Array;
}

export interface PinnedRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: string;
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

export interface PinnedAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** Why a peer could not be asked: none of these is evidence about the node. */
export type PeerErrorReason = 'dial-refused' | 'unreachable' | 'pin-mismatch' | 'timeout' | 'too-large';

export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly reason: PeerErrorReason;
  constructor(reason: PeerErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

export interface PinnedPoolOptions {
  /** PEM; what the agent accepts us by. */
  readonly certificate: string;
  readonly key: string;
  /** CIDR ranges; a peer elsewhere is never connected to (rule `api.dial`). */
  readonly dial: readonly string[];
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 5000;
const KEEP_ALIVE_MS = 600_000;

/**
 * Kept-alive mTLS connections to many peers, one each, whose certificate must be exactly the registered one. The
 * connection goes to the address that was checked; redirects are not followed; answers are bounded.
 */
export class PinnedPool {
  readonly #context: tls.SecureContext;
  readonly #allowed: BlockList;
  readonly #connectTimeoutMs: number;
  readonly #clients = new Map<string, Client>();

  constructor(options: PinnedPoolOptions) {
    this.#context = tls.createSecureContext({
      cert: options.certificate,
      key: options.key,
      minVersion: 'TLSv1.2',
    });
    this.#allowed = blockListOf(options.dial);
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS;
  }

  /** @throws {PeerError} when there is no answer from that peer within the limits */
  async request(peer: PinnedPeer, request: PinnedRequest): Promise<PinnedAnswer> {
    const client = this.#clientOf(peer);
    try {
      return await exchange(client, request);
    } catch (error) {
      throw asPeerError(error);
    }
  }

  /** Closes the connection to a peer that is no longer polled. */
  async drop(id: string): Promise<void> {
    const client = this.#clients.get(id);
    this.#clients.delete(id);
    await client?.destroy();
  }

  async close(): Promise<void> {
    const clients = [...this.#clients.values()];
    this.#clients.clear();
    await Promise.all(clients.map((client) => client.destroy()));
  }

  #clientOf(peer: PinnedPeer): Client {
    const found = this.#clients.get(peer.id);
    if (found) return found;
    const host = isIP(peer.host) === 6 ? `[${peer.host}]` : peer.host;
    const client = new Client(`https://${host}:${peer.port}`, {
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect: (_options, callback) => {
        this.#connect(peer).then(
          (socket) => callback(null, socket),
          (error: Error) => callback(error, null),
        );
      },
    });
    this.#clients.set(peer.id, client);
    return client;
  }

  async #connect(peer: PinnedPeer): Promise<tls.TLSSocket> {
    const address = await this.#resolve(peer.host);
    return new Promise((resolve, reject) => {
      const socket = tls.connect({
        host: address,
        port: peer.port,
        secureContext: this.#context,
        // The pin is the identity; names and issuers of a node's own certificate mean nothing.
        rejectUnauthorized: false,
        ALPNProtocols: ['http/1.1'],
        ...(isIP(peer.host) === 0 ? { servername: peer.host } : {}),
      });
      const fail = (error: Error) => {
        socket.destroy();
        reject(error);
      };
      socket.setTimeout(this.#connectTimeoutMs, () =>
        fail(new PeerError('timeout', `no TLS handshake with ${address}:${peer.port} in time`)),
      );
      socket.once('error', fail);
      socket.once('secureConnect', () => {
        const shown = socket.getPeerX509Certificate();
        if (!shown || !equalBytes(hash('sha256', shown.raw, 'buffer'), peer.tlsSha256)) {
          return fail(
            new PeerError(
              'pin-mismatch',
              `${address}:${peer.port} shows another certificate than the registered one`,
            ),
          );
        }
        socket.setTimeout(0);
        socket.off('error', fail);
        socket.setNoDelay(true);
        resolve(socket);
      });
    });
  }

  // The address that was looked at is the one that is connected to: a name cannot change in between.
  async #resolve(host: string): Promise<string> {
    const address = isIP(host) ? host : (await lookup(host)).address;
    if (this.#allowed.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')) return address;
    throw new PeerError('dial-refused', `${address} is outside the ranges that the verifier may connect to`);
  }
}

async function exchange(client: Client, request: PinnedRequest): Promise<PinnedAnswer> {
  const response = await client.request({
    method: request.method,
    path: request.path,
    body: request.body ?? null,
    headers: request.body === undefined ? null : { 'content-type': 'application/json' },
    headersTimeout: request.timeoutMs,
    bodyTimeout: request.timeoutMs,
  });
  return { status: response.statusCode, body: await readBody(response, request.maxBytes) };
}

async function readBody({ body, headers }: Dispatcher.ResponseData, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  if (Number(headers['content-length'] ?? 0) > maxBytes) {
    body.destroy();
    throw new PeerError('too-large', `the answer is larger than ${maxBytes} bytes`);
  }
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) {
      body.destroy();
      throw new PeerError('too-large', `the answer is larger than ${maxBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

function asPeerError(error: unknown): PeerError {
  if (error instanceof PeerError) return error;
  const message = error instanceof Error ? error.message || error.name : String(error);
  if (error instanceof Error && error.cause instanceof PeerError) return error.cause;
  const reason = /timeout/i.test(message) ? 'timeout' : 'unreachable';
  return new PeerError(reason, message, { cause: error });
}

function blockListOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = '', prefix] = range.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    const bits = Number(prefix ?? (family === 'ipv6' ? 128 : 32));
    if (isIP(address) === 0 || !Number.isInteger(bits))
      throw new RangeError(`"${range}" is not a CIDR range such as 10.0.0.0/8`);
    list.addSubnet(address, bits, family);
  }
  return list;
}
