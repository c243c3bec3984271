import { connect } from 'node:net';
import type { Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { bundlePem, type X509Identity } from '../spiffe/identity.ts';
import { serverIdentity } from '../spiffe/server-check.ts';
import type { X509Source } from '../spiffe/x509-source.ts';

/** How a SPIRE server is reached: over its own socket, where whoever may open it is its administrator, or over TCP. */
export type SpireAddress =
  | { readonly socket: string }
  /** `svid`: ours, which the server gives the right to ban. */
  | { readonly address: string; readonly svid: Pick<X509Source, 'current'> };

/** A transport for the next call: another one when the SVID has changed. */
export function spireTransport(to: SpireAddress, trustDomain: string): () => Transport {
  if ('socket' in to) {
    const transport = createGrpcTransport({
      baseUrl: 'http://localhost',
      nodeOptions: { createConnection: () => connect(to.socket) },
    });
    return () => transport;
  }
  let known: { readonly identity: X509Identity; readonly transport: Transport } | undefined;
  return () => {
    const identity = to.svid.current();
    if (known?.identity !== identity)
      known = { identity, transport: tcpTransport(to.address, identity, trustDomain) };
    return known.transport;
  };
}

/** Over TCP without a certificate of ours: enough to attest. */
export function anonymousTransport(address: string, bundle: string, trustDomain: string): Transport {
  return createGrpcTransport({
    baseUrl: `https://${address}`,
    nodeOptions: { ca: bundle, ...serverIdentity(serverId(trustDomain)) },
  });
}

function tcpTransport(address: string, identity: X509Identity, trustDomain: string): Transport {
  const ca = bundlePem(identity, trustDomain);
  const { certificate: cert, key } = identity;
  return createGrpcTransport({
    baseUrl: `https://${address}`,
    nodeOptions: { ca, cert, key, ...serverIdentity(serverId(trustDomain)) },
  });
}

const serverId = (trustDomain: string): string => `spiffe://${trustDomain}/spire/server`;
