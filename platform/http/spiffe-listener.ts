import { constants } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { AssayError } from '../../core/errors.ts';
import { parseSpiffePattern, renderSpiffeId, type SpiffeId } from '../../core/spiffe/id.ts';
import { verifyX509Svid } from '../../core/spiffe/x509-svid.ts';
import { parseCertificate } from '../../core/x509/certificate.ts';
import type { Logger } from '../logging.ts';
import type { X509Source } from '../spiffe/x509-source.ts';
import { ANONYMOUS, type KnownPrincipal } from './principal.ts';

/** A second way in, for callers who have X509-SVIDs and want to see ours. */
export interface SpiffeAccess {
  readonly source: X509Source;
  readonly listen: { readonly host: string; readonly port: number };
  /** What an ID may do; undefined for one that may do nothing. */
  readonly roleOf: (id: SpiffeId) => SpiffeRole | undefined;
}

export type SpiffeRole = 'admin' | 'viewer';

/** @param roles patterns of IDs (parseSpiffePattern) for each role; who has both is an admin @throws {AssayError} `malformed` */
export function spiffeRoles(roles: Readonly<Record<SpiffeRole, readonly string[]>>): SpiffeAccess['roleOf'] {
  const tests = (['admin', 'viewer'] as const).flatMap((role) =>
    roles[role].map((pattern) => ({ role, matches: parseSpiffePattern(pattern) })),
  );
  return (id) => tests.find(({ matches }) => matches(id))?.role;
}

const MAX_CHAIN = 8;
const TLS = {
  minVersion: 'TLSv1.3',
  // A resumed session has the client's leaf and none of the certificates between it and the bundle.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const;

/**
 * An HTTPS server that shows our X509-SVID, and the newest one from the next connection on. Whoever shows one that leads
 * to the bundle of its trust domain is who its ID says; anybody else is a stranger, whatever other certificate they have.
 *
 * @param identified is told of each connection before its first request
 */
export function createSpiffeServer(
  { source, roleOf }: SpiffeAccess,
  options: Parameters<typeof createServer>[0],
  identified: (socket: TLSSocket, known: KnownPrincipal) => void,
  logger: Logger,
): Server {
  const server = createServer({
    ...options,
    requestCert: true,
    // Our own code looks at the chain: OpenSSL knows nothing of trust domains.
    rejectUnauthorized: false,
    ...TLS,
  });
  source.onChange(({ certificate: cert, key }) => server.setSecureContext({ cert, key, ...TLS }));
  // Before the listener that hands the connection to HTTP.
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    identified(socket, callerOf(socket, source, roleOf, logger));
  });
  return server;
}

function callerOf(
  socket: TLSSocket,
  source: X509Source,
  roleOf: SpiffeAccess['roleOf'],
  logger: Logger,
): KnownPrincipal {
  const stranger = { principal: ANONYMOUS, until: Number.POSITIVE_INFINITY };
  try {
    const [leaf, ...intermediates] = chainOf(socket).map((der) => parseCertificate(der));
    if (!leaf) return stranger;
    const { bundles } = source.current();
    const bundleOf = (trustDomain: string) => bundles.get(trustDomain);
    const verdict = verifyX509Svid({ leaf, intermediates, bundleOf, at: new Date() });
    if (!verdict.ok)
      throw new AssayError('unauthenticated', verdict.findings.map(({ message }) => message).join('; '));
    const role = roleOf(verdict.id);
    const name = renderSpiffeId(verdict.id);
    if (role) return { principal: { kind: role, name }, until: leaf.notAfter.getTime() };
    logger.info({ id: name }, 'this SPIFFE ID has no role here (spiffe.admins, spiffe.viewers)');
  } catch (error) {
    if (!(error instanceof AssayError)) throw error;
    logger.info({ why: error.message }, 'a client certificate is no SVID that is trusted here');
  }
  return stranger;
}

/** DER of what the client sent, leaf first. */
function chainOf(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // The last one is its own issuer, or has none.
  while (next?.raw && chain.length < MAX_CHAIN) {
    const { raw, issuerCertificate }: DetailedPeerCertificate = next;
    chain.push(new Uint8Array(raw));
    next = issuerCertificate === next ? undefined : issuerCertificate;
  }
  return chain;
}
