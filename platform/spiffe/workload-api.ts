import { createClient } from '@connectrpc/connect';
import { createGrpcTransport } from '@connectrpc/connect-node';
import { AssayError } from '../../core/errors.ts';
import { parseSpiffeId, renderSpiffeId } from '../../core/spiffe/id.ts';
import { parseEndpoint } from './endpoint.ts';
import { SpiffeWorkloadAPI, type X509SVIDResponse } from './gen/workload_pb.js';
import { type Bundles, readCertificates, readIdentity, type X509Identity } from './identity.ts';

/** Whoever sends it is a workload, and no browser that was made to call (SPIFFE Workload Endpoint, 5). */
const HEADERS = { 'workload.spiffe.io': 'true' };
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/** SPIFFE's Workload API, over which a process gets its own identity from the machine it runs on. */
export interface WorkloadApi {
  /**
   * The SVIDs of this process: at once, and whenever they change. Each answer replaces the one before; it has one SVID
   * at least, and the default one is the first. Ends with an error when the stream does.
   *
   * @throws {AssayError} `malformed` for an answer that is not what the specification says, {ConnectError} otherwise:
   *   `PermissionDenied` while this process has no identity
   */
  x509Svids(signal: AbortSignal): AsyncIterable<readonly X509Identity[]>;
  /** The bundles alone: for a process that judges others, and has no identity. */
  x509Bundles(signal: AbortSignal): AsyncIterable<Bundles>;
}

/** @param endpoint as in SPIFFE_ENDPOINT_SOCKET @throws {AssayError} `invalid-config` */
export function workloadApi(endpoint: string): WorkloadApi {
  const transport = createGrpcTransport({
    baseUrl: 'http://localhost',
    nodeOptions: { createConnection: parseEndpoint(endpoint) },
    readMaxBytes: MAX_MESSAGE_BYTES,
  });
  const client = createClient(SpiffeWorkloadAPI, transport);
  return {
    async *x509Svids(signal) {
      for await (const answer of client.fetchX509SVID({}, { signal, headers: HEADERS }))
        yield readSvids(answer);
    },
    async *x509Bundles(signal) {
      for await (const { bundles } of client.fetchX509Bundles({}, { signal, headers: HEADERS }))
        yield readBundles(bundles);
    },
  };
}

function readSvids({ svids, federatedBundles }: X509SVIDResponse): readonly X509Identity[] {
  if (svids.length === 0) throw new AssayError('malformed', 'the Workload API sent no SVID');
  const federated = readBundles(federatedBundles);
  return svids.map(({ spiffeId, x509Svid, x509SvidKey, bundle, hint }) => {
    const { trustDomain } = parseSpiffeId(spiffeId);
    const bundles = new Map(federated).set(trustDomain, readCertificates(bundle));
    const identity = readIdentity(x509Svid, x509SvidKey, bundles, hint);
    if (renderSpiffeId(identity.id) === spiffeId) return identity;
    throw new AssayError(
      'malformed',
      `the Workload API calls ${renderSpiffeId(identity.id)} by the name of ${spiffeId}`,
    );
  });
}

function readBundles(bundles: Readonly<Record<string, Uint8Array>>): Bundles {
  return new Map(
    Object.entries(bundles).map(([id, bytes]) => [parseSpiffeId(id).trustDomain, readCertificates(bytes)]),
  );
}
