import type { X509Certificate } from 'node:crypto';
import { hash } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/** Who asks, as the TLS client certificate shows. */
export type Principal =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'admin' | 'viewer' | 'service'; readonly name: string }
  | { readonly kind: 'node'; readonly nodeId: string };

/** What a route may demand. `node` means: the node whose record holds the certificate that was shown. */
export type Access =
  | 'public'
  | 'node'
  | 'admin'
  | 'viewer'
  | 'service:registrar'
  | 'service:verifier'
  | 'service:issuer';

export const ANONYMOUS: Principal = { kind: 'anonymous' };

const ROLE = /^urn:assay:role:(admin|viewer)$/;
const SERVICE = /^urn:assay:service:(registrar|verifier|issuer)$/;

/** Who somebody is, and until when that may be believed, in milliseconds since 1970. */
export interface KnownPrincipal {
  readonly principal: Principal;
  readonly until: number;
}

/** Finds the node whose registered TLS certificate has this SHA-256. */
export type NodeLookup = (certificateSha256: Uint8Array) => Promise<string | undefined>;

/**
 * Says for each request who asks. A certificate of our service CA carries its role in a URI name; any other is a
 * node's, known by its bytes. TLS has proven possession of the key in both cases.
 *
 * A role stays the same for a connection until its certificate expires; a node's record is asked each time, since
 * it can change.
 */
export class Identifier {
  readonly #findNode: NodeLookup | undefined;
  readonly #now: () => number;
  readonly #roles = new WeakMap<object, KnownPrincipal>();
  readonly #told = new WeakSet<object>();
  readonly #strangers = new WeakSet<object>();

  constructor(findNode: NodeLookup | undefined, now: () => number = Date.now) {
    this.#findNode = findNode;
    this.#now = now;
  }

  /** Says who is behind a connection, in place of its certificate. */
  tell(socket: object, known: KnownPrincipal): void {
    this.#roles.set(socket, known);
    this.#told.add(socket);
  }

  /** True when a certificate of this connection was looked up before and no record had it. */
  isStranger(socket: object): boolean {
    return !isTls(socket) || this.#strangers.has(socket);
  }

  async identify(socket: object): Promise<Principal> {
    if (!isTls(socket)) return ANONYMOUS;
    const hasRole = this.#told.has(socket) || socket.authorized;
    const principal = hasRole ? this.#role(socket) : await this.#node(socket);
    if (principal.kind === 'anonymous') this.#strangers.add(socket);
    else this.#strangers.delete(socket);
    return principal;
  }

  #role(socket: TLSSocket): Principal {
    const known = this.#roles.get(socket) ?? readRole(socket);
    this.#roles.set(socket, known);
    return this.#now() < known.until ? known.principal : ANONYMOUS;
  }

  async #node(socket: TLSSocket): Promise<Principal> {
    const certificate = this.#findNode && socket.getPeerX509Certificate();
    if (!certificate) return ANONYMOUS;
    const nodeId = await this.#findNode?.(new Uint8Array(hash('sha256', certificate.raw, 'buffer')));
    return nodeId === undefined ? ANONYMOUS : { kind: 'node', nodeId };
  }
}

function isTls(socket: object): socket is TLSSocket {
  return 'getPeerX509Certificate' in socket;
}

function readRole(socket: TLSSocket): KnownPrincipal {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return { principal: ANONYMOUS, until: Number.POSITIVE_INFINITY };
  return { principal: roleOf(certificate), until: certificate.validToDate.getTime() };
}

function roleOf(certificate: X509Certificate): Principal {
  const name = /(?:^|\n)CN=([^\n]*)/.exec(certificate.subject)?.[1] ?? '';
  for (const uri of urisOf(certificate)) {
    const role = ROLE.exec(uri)?.[1];
    if (role === 'admin' || role === 'viewer') return { kind: role, name };
    const service = SERVICE.exec(uri)?.[1];
    if (service !== undefined) return { kind: 'service', name: service };
  }
  return ANONYMOUS;
}

// Node escapes separators that stand within a name, so that one name cannot pass for two.
function urisOf({ subjectAltName = '' }: X509Certificate): string[] {
  return subjectAltName
    .split(', ')
    .filter((name) => name.startsWith('URI:'))
    .map((name) => name.slice('URI:'.length));
}

export function mayAccess(principal: Principal, access: readonly Access[]): boolean {
  if (access.includes('public')) return true;
  if (principal.kind === 'anonymous') return false;
  if (principal.kind === 'service') return access.some((one) => one === `service:${principal.name}`);
  return access.includes(principal.kind);
}

/** The name that goes into the audit log. */
export function actorOf(principal: Principal): string {
  if (principal.kind === 'anonymous') return 'anonymous';
  return principal.kind === 'node' ? `node:${principal.nodeId}` : `${principal.kind}:${principal.name}`;
}
