import { hash } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import tls from 'node:tls';
import { equalBytes } from '../../core/bytes/encoding.ts';
import { PeerError, type PinnedPeer } from './peer.ts';

/** Opens a TLS connection to a peer. @throws {PeerError} */
export type Dialler = (peer: PinnedPeer) => Promise<tls.TLSSocket>;

export interface DiallerOptions {
  readonly certificate: string;
  readonly key: string;
  readonly dial: readonly string[];
  readonly connectTimeoutMs: number;
}

/**
 * Connects only within the ranges of `dial` (rule `api.dial`), to the very address that was checked, and gives a
 * connection back only when the peer showed exactly the registered certificate and proved its key. Sessions are not
 * resumed: a resumed one shows no certificate.
 *
 * @throws {RangeError} for a range that is not in CIDR notation
 */
export function pinnedDialler(options: DiallerOptions): Dialler {
  const secureContext = tls.createSecureContext({
    cert: options.certificate,
    key: options.key,
    minVersion: 'TLSv1.2',
  });
  const allowed = rangesOf(options.dial);
  return async (peer) => {
    const address = await resolveAllowed(peer.host, allowed);
    return handshake(peer, address, secureContext, options.connectTimeoutMs);
  };
}

function handshake(
  peer: PinnedPeer,
  address: string,
  secureContext: tls.SecureContext,
  timeoutMs: number,
): Promise<tls.TLSSocket> {
  const where = `${address}:${peer.port}`;
  return new Promise((resolve, reject) => {
    const socket = tls.connect({
      host: address,
      port: peer.port,
      secureContext,
      // The pin is the identity; names and issuers of a node's own certificate mean nothing.
      rejectUnauthorized: false,
      ALPNProtocols: ['http/1.1'],
      ...(isIP(peer.host) === 0 ? { servername: peer.host } : {}),
    });
    const fail = (error: Error) => {
      clearTimeout(late);
      reject(error);
      socket.destroy();
    };
    // Not the socket's own timeout: a peer that sends a byte now and then must not reset it.
    const late = setTimeout(
      () => fail(new PeerError('timeout', `no TLS handshake with ${where} in time`)),
      timeoutMs,
    );
    socket.once('error', fail);
    const closed = () => fail(new PeerError('unreachable', `${where} closed the connection`));
    socket.once('close', closed);
    socket.once('secureConnect', () => {
      if (!showsPin(socket, peer))
        return fail(
          new PeerError('pin-mismatch', `${where} shows another certificate than the registered one`),
        );
      clearTimeout(late);
      socket.off('error', fail).off('close', closed);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

function showsPin(socket: tls.TLSSocket, peer: PinnedPeer): boolean {
  const shown = socket.getPeerX509Certificate();
  return shown !== undefined && equalBytes(hash('sha256', shown.raw, 'buffer'), peer.tlsSha256);
}

// The address that was looked at is the one that is connected to: a name cannot change in between.
async function resolveAllowed(host: string, allowed: BlockList): Promise<string> {
  const addresses = isIP(host) ? [host] : (await lookup(host, { all: true })).map(({ address }) => address);
  const address = addresses.find((one) => allowed.check(one, isIP(one) === 6 ? 'ipv6' : 'ipv4'));
  if (address !== undefined) return address;
  throw new PeerError(
    'dial-refused',
    `${addresses.join(', ')} is outside the ranges that the verifier may connect to`,
  );
}

function rangesOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const match = /^([0-9a-f.:]+)(?:\/(\d{1,3}))?$/i.exec(range);
    const address = match?.[1] ?? '';
    const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
    const bits = Number(match?.[2] ?? longest);
    if (longest < 0 || bits > longest)
      throw new RangeError(`"${range}" is not a CIDR range such as 10.0.0.0/8`);
    list.addSubnet(address, bits, longest === 128 ? 'ipv6' : 'ipv4');
  }
  return list;
}
