import { connect, isIP, type Socket } from 'node:net';
import { AssayError } from '../../core/errors.ts';

/**
 * Where a Workload API is: `unix:///path` or `tcp://ADDRESS:PORT` (SPIFFE Workload Endpoint, 4).
 *
 * @returns a function that connects to it
 * @throws {AssayError} `invalid-config`
 */
export function parseEndpoint(text: string): () => Socket {
  const path = /^unix:(?:\/\/)?(\/(?!\/)[^?#]+)$/.exec(text)?.[1];
  if (path !== undefined) return () => connect(path);
  const [, host = '', port = ''] = /^tcp:\/\/(.+):(\d{1,5})$/.exec(text) ?? [];
  const address = host.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) !== 0 && Number(port) > 0 && Number(port) < 65_536)
    return () => connect(Number(port), address);
  throw new AssayError(
    'invalid-config',
    `${JSON.stringify(text)} is no Workload API endpoint; expected unix:///path/of/the/socket or tcp://ADDRESS:PORT`,
  );
}
