import { AssayError } from '../../../core/errors.ts';
import { DeviceTransport } from './device.ts';
import { SocketTransport, type SocketTransportOptions } from './socket.ts';
import type { TpmTransport } from './transport.ts';

const TPM_ADDRESS_FORMS = 'device:/dev/tpmrm0, swtpm:unix:/PATH or swtpm:tcp:HOST:PORT';

/**
 * Opens the TPM that `address` names and checks that it is there.
 *
 * @throws {AssayError} `invalid-config` for an address of no known form
 * @throws {TpmTransportError} `unreachable` when it is not there, or we may not use it
 */
export async function openTransport(
  address: string,
  options: SocketTransportOptions = {},
): Promise<TpmTransport> {
  const transport = transportFor(address, options);
  await transport.probe();
  return transport;
}

function transportFor(address: string, options: SocketTransportOptions): DeviceTransport | SocketTransport {
  const device = /^device:(\/.+)$/.exec(address)?.[1];
  if (device !== undefined) {
    const { responseTimeoutMs } = options;
    return new DeviceTransport(device, responseTimeoutMs === undefined ? {} : { responseTimeoutMs });
  }
  const path = /^swtpm:unix:(\/.+)$/.exec(address)?.[1];
  if (path !== undefined) return new SocketTransport({ path }, address, options);
  const tcp = /^swtpm:tcp:(\[[0-9a-f:]+\]|[^:[\]]+):(\d{1,5})$/i.exec(address);
  const host = tcp?.[1]?.replace(/^\[|\]$/g, '');
  const port = Number(tcp?.[2]);
  if (host !== undefined && port > 0 && port < 65_536)
    return new SocketTransport({ host, port }, address, options);
  throw new AssayError('invalid-config', `"${address}" names no TPM; expected ${TPM_ADDRESS_FORMS}`);
}
