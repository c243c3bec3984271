import { createHash, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { AssayError } from '../core/errors.ts';
import type { CaSource } from './config.ts';
import type { StateStore } from './state-store.ts';

const TIMEOUT_MS = 15_000;
const MAX_CA_BYTES = 64 * 1024;
const MAX_CHAIN = 5;
const STORED = 'ca.crt';

/** What a pin pins: SHA-256 of the certificate's SubjectPublicKeyInfo, lower-case hex. */
export function pinOf(certificate: X509Certificate): string {
  return createHash('sha256')
    .update(certificate.publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/**
 * The service CA, PEM: from a file, from an earlier start, or from the registrar when its key is the
 * pinned one. What is connected to with it afterwards is verified by name as well.
 */
export async function loadServiceCa(source: CaSource, registrar: string, state: StateStore): Promise<string> {
  if (source.type === 'file') return readCaFile(source.path);
  const stored = await state.readText(STORED);
  if (stored !== undefined && pinOf(new X509Certificate(stored)) === source.sha256) return stored;
  const pem = await fetchPinnedCa(registrar, source.sha256);
  await state.writeText(STORED, pem);
  return pem;
}

/**
 * Asks the registrar for its CA and accepts it by the pin alone. Until then the connection is to anybody,
 * so nothing is sent over it but the request for a public file.
 *
 * @throws {AssayError} `unauthenticated` when the CA is another one
 */
export async function fetchPinnedCa(registrar: string, sha256: string): Promise<string> {
  const socket = await connectUnverified(new URL(registrar));
  try {
    const offered = chainOf(socket);
    const found = offered.find((certificate) => pinOf(certificate) === sha256);
    const ca = found ?? new X509Certificate(await requestCa(socket));
    if (pinOf(ca) !== sha256) throw wrongCa(registrar, sha256, pinOf(ca));
    return ca.toString();
  } finally {
    socket.destroy();
  }
}

async function readCaFile(path: string): Promise<string> {
  try {
    const pem = await readFile(path, 'utf8');
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AssayError('invalid-config', `cannot read the service CA's certificate from ${path}: ${why}`, {
      cause,
    });
  }
}

function connectUnverified(url: URL): Promise<TLSSocket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((connected, failed) => {
    const fail = (why: string, cause?: Error) => {
      socket.destroy();
      failed(
        new AssayError('unavailable', `the registrar at ${url.origin} does not answer: ${why}`, { cause }),
      );
    };
    const socket = connect({
      host,
      port: Number(url.port || 443),
      ...(isIP(host) === 0 ? { servername: host } : {}),
      minVersion: 'TLSv1.3',
      // The pin is checked instead, before anything is sent that matters.
      rejectUnauthorized: false,
    });
    socket.setTimeout(TIMEOUT_MS, () => fail(`no answer within ${TIMEOUT_MS / 1000} s`));
    socket.once('error', (error) => fail(error.message, error));
    socket.once('secureConnect', () => connected(socket));
  });
}

function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

/** GET /v1/ca over a connection that is open already, since no HTTP client would use an unverified one. */
async function requestCa(socket: TLSSocket): Promise<string> {
  socket.write('GET /v1/ca HTTP/1.1\r\nhost: registrar\r\nconnection: close\r\n\r\n');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of socket) {
    size += chunk.length;
    if (size > MAX_CA_BYTES) break;
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('latin1');
  const pem = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/.exec(text)?.[0];
  if (pem === undefined) {
    throw new AssayError(
      'unauthenticated',
      'what answers there offers no CA certificate; is it the registrar?',
    );
  }
  return pem;
}

function wrongCa(registrar: string, expected: string, got: string): AssayError {
  return new AssayError(
    'unauthenticated',
    `what answers at ${registrar} has the CA sha256:${got}, expected sha256:${expected}; somebody is in between, or the pin is of another installation`,
  );
}
