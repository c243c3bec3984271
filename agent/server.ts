import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TLSSocket } from 'node:tls';
import { AssayError } from '../core/errors.ts';
import { EVIDENCE_TYPE } from '../core/messages/evidence.ts';
import { answerEvidence, EVIDENCE_PATH, type EvidenceReply } from './evidence/route.ts';
import { failure, type Reply, RequestRefused } from './keylime/envelope.ts';
import { answerKeylime, type KeylimeDependencies } from './keylime/routes.ts';

export interface AgentServerOptions extends KeylimeDependencies {
  readonly host: string;
  readonly port: number;
  /** PEM. The certificate is what the registrar has on record. */
  readonly tls: { readonly certificate: string; readonly key: string };
  /** PEM of the service CA: whoever asks must have a certificate of it. */
  readonly clientCa: string;
  /** A request that failed by a fault of ours or of the TPM. */
  readonly onFault: (error: unknown) => void;
}

export interface AgentServer {
  readonly port: number;
  close(): Promise<void>;
}

const VERIFIER = 'URI:urn:assay:service:verifier';
const MAX_BODY_BYTES = 256 * 1024;
const MAX_HEADER_BYTES = 8 * 1024;
/** Longer than a verifier waits between two polls, since a handshake costs it more than a poll. */
const KEEP_ALIVE_MS = 15 * 60_000;
const HANDSHAKE_MS = 10_000;
const REQUEST_MS = 30_000;
const MAX_CONNECTIONS = 64;

/**
 * The agent's only listener: evidence and Keylime's pull API over TLS, for the verifier and nobody else. A client
 * without a certificate of the service CA does not get past the handshake.
 */
export async function startAgentServer(options: AgentServerOptions): Promise<AgentServer> {
  const { tls, clientCa, host, port } = options;
  const server = createServer(
    {
      ...{ cert: tls.certificate, key: tls.key, ca: clientCa },
      ...{ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' },
      ...{ handshakeTimeout: HANDSHAKE_MS, maxHeaderSize: MAX_HEADER_BYTES },
      ...{ keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: HANDSHAKE_MS, requestTimeout: REQUEST_MS },
    },
    (request, response) => void handle(options, request, response),
  );
  server.maxConnections = MAX_CONNECTIONS;
  const sockets = new Set<Duplex>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        // Also those that are still in their handshake, which HTTP does not know: kept alive, they would keep us.
        for (const socket of sockets) socket.destroy();
      }),
  };
}

async function handle(
  options: AgentServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const reply = await answer(options, request).catch((error: unknown) => faultReply(options, error));
  if ('head' in reply) return sendEvidence(options, reply, response);
  if (response.destroyed) return;
  response.writeHead(reply.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(reply.body),
    ...(reply.allow === undefined ? {} : { allow: reply.allow }),
    // Whoever is refused here, or has sent more than we read, is not worth a connection.
    ...(reply.status === 403 || reply.status === 413 ? { connection: 'close' } : {}),
  });
  response.end(reply.body);
}

async function sendEvidence(
  { onFault }: AgentServerOptions,
  { head, rest }: EvidenceReply,
  response: ServerResponse,
): Promise<void> {
  response.writeHead(200, {
    'content-type': EVIDENCE_TYPE,
    ...(rest ? {} : { 'content-length': head.length }),
  });
  if (!rest) return void response.end(head);
  response.write(head);
  // An answer that breaks off is no answer: the verifier sees that its end is missing.
  await pipeline(rest, response).catch((error: unknown) => {
    if (!isGone(error)) onFault(error);
  });
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE';
}

async function answer(options: AgentServerOptions, request: IncomingMessage): Promise<Reply | EvidenceReply> {
  if (!isVerifier(request.socket as TLSSocket)) {
    return failure(403, 'Forbidden: this interface is for the verifier alone');
  }
  const { method = 'GET', url = '/' } = request;
  const [path, query] = url.split('?', 2);
  if (method === 'GET' && path === EVIDENCE_PATH) return answerEvidence(options, new URLSearchParams(query));
  const body = method === 'POST' ? await readBody(request) : '';
  return answerKeylime(options, { method, target: url, body });
}

/** The chain was checked by the handshake; the role is a URI name that only the service CA gives. */
function isVerifier(socket: TLSSocket): boolean {
  const names = socket.getPeerX509Certificate()?.subjectAltName ?? '';
  return names.split(', ').includes(VERIFIER);
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES)
      throw new RequestRefused(413, `JSON payload is larger than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function faultReply(options: AgentServerOptions, error: unknown): Reply {
  if (error instanceof RequestRefused) return error.reply;
  options.onFault(error);
  const why = error instanceof AssayError ? `: ${error.message}` : '';
  return failure(500, `Unable to retrieve quote${why}`);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((listening, failed) => {
    server.once('error', (cause) => {
      const message = `cannot listen on ${host}:${port}: ${cause.message}`;
      failed(new AssayError('invalid-config', message, { cause }));
    });
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      server.on('error', () => {});
      listening();
    });
  });
}
