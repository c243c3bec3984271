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

const ANONYMOUS: Principal = { kind: 'anonymous' };
const ROLE = /^urn:assay:role:(admin|viewer)$/;
const SERVICE = /^urn:assay:service:(registrar|verifier|issuer)$/;

/** Finds the node whose registered TLS certificate has this SHA-256. */
export type NodeLookup = (certificateSha256: Uint8Array) => Promise<string | undefined>;

/**
 * A certificate of our service CA says its role in a URI name; any other is a node's, known by its bytes. TLS has
 * proven possession of the key in both cases.
 */
export async function principalOf(socket: TLSSocket, findNode: NodeLookup | undefined): Promise<Principal> {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return ANONYMOUS;
  if (socket.authorized) return roleOf(certificate);
  const nodeId = await findNode?.(new Uint8Array(hash('sha256', certificate.raw, 'buffer')));
  return nodeId === undefined ? ANONYMOUS : { kind: 'node', nodeId };
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

function urisOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '')
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
