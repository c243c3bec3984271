import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import type { PeerCertificate } from 'node:tls';
import type { Transport } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';

/** How a SPIRE server is reached: over its own socket, where whoever may open it is its administrator, or over TCP. */
export type SpireAddress =
  | { readonly socket: string }
  | { readonly address: string; readonly svid: SvidFiles };

/** An X509-SVID of ours that the server gives the right to ban. PEM files; they may be replaced while we run. */
export interface SvidFiles {
  readonly certificate: string;
  readonly key: string;
  /** Trust bundle of SPIRE's trust domain. */
  readonly bundle: string;
}

/** A transport for the next call: another one when the files of the SVID have changed. */
export function spireTransport(to: SpireAddress, trustDomain: string): () => Transport {
  if ('socket' in to) {
    const transport = createGrpcTransport({
      baseUrl: 'http://localhost',
      nodeOptions: { createConnection: () => connect(to.socket) },
    });
    return () => transport;
  }
  let known: { readonly version: string; readonly transport: Transport } | undefined;
  return () => {
    const version = versionOf(to.svid);
    if (known?.version !== version) known = { version, transport: tcpTransport(to, trustDomain) };
    return known.transport;
  };
}

/** Over TCP without a certificate of ours: enough to attest. */
export function anonymousTransport(address: string, bundle: string, trustDomain: string): Transport {
  return createGrpcTransport({
    baseUrl: `https://${address}`,
    nodeOptions: { ca: bundle, ...serverCheck(trustDomain) },
  });
}

function tcpTransport(
  { address, svid }: Extract<SpireAddress, { address: string }>,
  trustDomain: string,
): Transport {
  return createGrpcTransport({
    baseUrl: `https://${address}`,
    nodeOptions: {
      ca: readFileSync(svid.bundle),
      cert: readFileSync(svid.certificate),
      key: readFileSync(svid.key),
      ...serverCheck(trustDomain),
    },
  });
}

function serverCheck(trustDomain: string) {
  return {
    minVersion: 'TLSv1.2' as const,
    checkServerIdentity: (_host: string, certificate: PeerCertificate) =>
      checkServer(certificate, trustDomain),
  };
}

/** SPIRE's certificate has a SPIFFE ID and no host name: the ID is what is checked, beside the chain. */
function checkServer({ raw }: PeerCertificate, trustDomain: string): Error | undefined {
  const wanted = `spiffe://${trustDomain}/spire/server`;
  const names = new X509Certificate(raw).subjectAltName ?? '';
  const uris = names.split(', ').filter((name) => name.startsWith('URI:'));
  if (uris.length === 1 && uris[0] === `URI:${wanted}`) return undefined;
  return new Error(`the server shows ${uris.join(', ') || 'no SPIFFE ID'}, expected ${wanted}`);
}

function versionOf(files: SvidFiles): string {
  return [files.certificate, files.key, files.bundle].map((file) => statSync(file).mtimeMs).join();
}
