import { lookup } from 'node:dns/promises';
import { createServer } from 'node:net';
import type { HostPort } from '../config.ts';
import { type CheckResult, fail, ok, systemCode, warn, why } from './result.ts';

/** Whether the agent could listen where it is told to. */
export async function checkListen({ host, port }: HostPort): Promise<CheckResult> {
  const address = `${host}:${port}`;
  try {
    await tryListen(host, port);
    return ok('listen', `${address} is free`);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EADDRINUSE') {
      const advice =
        'if that is not the agent itself, choose another "listen" address: ss -ltnp shows who it is';
      return warn('listen', `${address} is in use`, advice);
    }
    if (code === 'EADDRNOTAVAIL') {
      return fail(
        'listen',
        `this machine has no address ${host}`,
        'set "listen" to one of its addresses, or 0.0.0.0',
      );
    }
    if (code === 'EACCES') {
      return fail('listen', `port ${port} is reserved for root`, 'set "listen" to a port above 1023');
    }
    return fail('listen', `cannot listen on ${address}: ${why(error)}`, 'set "listen" to another address');
  }
}

/** Whether the address that is registered means anything; who can reach it only the verifier can say. */
export async function checkContact({ host, port }: HostPort): Promise<CheckResult> {
  try {
    const { address } = await lookup(host);
    const message = `the verifier will connect to ${host}:${port} (${address} seen from here)`;
    if (/^127\.|^::1$/.test(address)) {
      return warn(
        'contact',
        message,
        'only a verifier on this machine reaches that; set "contact" to an address that others reach',
      );
    }
    return ok('contact', message);
  } catch (error) {
    const advice = 'set "contact" to an address or a name that the verifier can resolve';
    return fail('contact', `${host} does not resolve: ${why(error)}`, advice);
  }
}

function tryListen(host: string, port: number): Promise<void> {
  return new Promise((done, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen({ host, port }, () => server.close(() => done()));
  });
}
