import type { IncomingMessage, ServerResponse } from 'node:http';
import https from 'node:https';
import { createServer as createPlain, type Server as NetServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { PeerError, type PinnedPeer, PinnedPool } from '../../../../platform/http/pinned-pool.ts';
import { createSelfSigned, type Identity } from './certificates.ts';

let node: Identity;
let impostor: Identity;
let verifier: Identity;
let pool: PinnedPool;
const open: (NetServer | https.Server)[] = [];
const POOL = { dial: ['127.0.0.0/8'] };
const ASK = { method: 'GET' as const, path: '/quote', timeoutMs: 2000, maxBytes: 1000 };

beforeAll(async () => {
  [node, impostor, verifier] = await Promise.all([
    createSelfSigned('node'),
    createSelfSigned('impostor'),
    createSelfSigned('verifier'),
  ]);
});
beforeEach(() => {
  pool = new PinnedPool({ ...verifier, ...POOL });
});
afterEach(async () => {
  await pool.close();
  for (const server of open.splice(0)) {
    if (server instanceof https.Server) server.closeAllConnections();
    server.close();
  }
});

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function startAgent(handler: Handler, identity: Identity = node): Promise<https.Server> {
  const options = {
    cert: identity.certificate,
    key: identity.key,
    requestCert: true,
    rejectUnauthorized: false,
  };
  return listen(https.createServer(options, handler));
}

async function listen<S extends NetServer>(server: S): Promise<S> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  open.push(server);
  return server;
}

function peerOf(server: NetServer, options: Partial<PinnedPeer> = {}): PinnedPeer {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return { id: 'n', host: '127.0.0.1', port: address.port, tlsSha256: node.sha256, ...options };
}

const refusal = (peer: PinnedPeer, options: Partial<typeof ASK> = {}) =>
  pool.request(peer, { ...ASK, ...options }).then(
    () => 'answered',
    (error: unknown) => (error instanceof PeerError ? error.reason : error),
  );

test('bytes.nozip: an answer that is compressed stays as it came, whatever its headers say', async () => {
  const packed = gzipSync('x'.repeat(100_000));
  const server = await startAgent((_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': packed.length }).end(packed);
  });
  const { body } = await pool.request(peerOf(server), ASK);
  expect(Buffer.compare(body, packed)).toBe(0);
});

test('the registered node answers, over one connection, with our certificate shown', async () => {
  const connections = new Set<unknown>();
  let shown: string | undefined;
  const server = await startAgent((request, response) => {
    connections.add(request.socket);
    shown = (request.socket as TLSSocket).getPeerX509Certificate()?.subject;
    request.on('data', (chunk) => response.write(chunk)).on('end', () => response.end('!'));
  });
  for (let time = 0; time < 3; time += 1) {
    const { status, body } = await pool.request(peerOf(server), {
      ...ASK,
      method: 'POST',
      body: `{"n":${time}}`,
    });
    expect([status, body.toString()]).toEqual([200, `{"n":${time}}!`]);
  }
  expect(connections.size).toBe(1);
  expect(shown).toBe('CN=verifier');
});

test('api.dial: another certificate than the registered one is refused before anything is sent', async () => {
  let asked = false;
  const server = await startAgent((_request, response) => {
    asked = true;
    response.end();
  }, impostor);
  expect(await refusal(peerOf(server))).toBe('pin-mismatch');
  expect(asked).toBe(false);
});

test('api.dial: a node that enrolled again with another key is not asked over its old connection', async () => {
  const server = await startAgent((_request, response) => response.end('old'));
  expect((await pool.request(peerOf(server), ASK)).body.toString()).toBe('old');
  expect(await refusal(peerOf(server, { tlsSha256: impostor.sha256 }))).toBe('pin-mismatch');
});

test('api.dial: each new connection is checked, not only the first', async () => {
  const server = await startAgent((_request, response) =>
    response.setHeader('connection', 'close').end('once'),
  );
  const peer = peerOf(server);
  expect(await refusal(peer)).toBe('answered');
  server.setSecureContext({ cert: impostor.certificate, key: impostor.key });
  expect(await refusal(peer)).toBe('pin-mismatch');
});

test('api.dial: a redirect is an answer, not a way to somewhere else', async () => {
  let followed = false;
  const other = await startAgent((_request, response) => {
    followed = true;
    response.end();
  });
  const location = `https://127.0.0.1:${peerOf(other).port}/`;
  const server = await startAgent((_request, response) => response.writeHead(302, { location }).end());
  expect((await pool.request(peerOf(server), ASK)).status).toBe(302);
  expect(followed).toBe(false);
});

const outside: readonly [host: string, dial: readonly string[]][] = [
  ['127.0.0.1', []],
  ['127.0.0.1', ['10.0.0.0/8']],
  ['127.0.0.1', ['127.0.0.2/32']],
  ['localhost', ['10.0.0.0/8', '::2/128']],
  ['::1', ['127.0.0.0/8']],
  ['::ffff:127.0.0.1', ['10.0.0.0/8', 'fd00::/8']],
  ['169.254.169.254', ['127.0.0.0/8']],
];
for (const [host, dial] of outside) {
  test(`api.dial: ${host} is not connected to when only ${dial.join(', ') || 'nothing'} is allowed`, async () => {
    let connected = false;
    const server = await listen(
      createPlain(() => {
        connected = true;
      }),
    );
    const narrow = new PinnedPool({ ...verifier, dial });
    const error = await narrow.request(peerOf(server, { host }), ASK).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ reason: 'dial-refused' });
    expect(connected).toBe(false);
    await narrow.close();
  });
}

test('api.dial: a name is connected to at the address that was allowed', async () => {
  const server = await startAgent((_request, response) => response.end('hello'));
  expect(await refusal(peerOf(server, { host: 'localhost' }))).toBe('answered');
});

for (const range of [
  '10.0.0.0/33',
  '10.0.0.0/-1',
  'everything',
  '10.0.0.0/8/8',
  '',
  '10.0.0/8',
  'fd00::/129',
]) {
  test(`the range "${range}" is a mistake in the configuration`, () => {
    expect(() => new PinnedPool({ ...verifier, dial: [range] })).toThrow(RangeError);
  });
}

test('api.limits: an answer that says it is too large is not read', async () => {
  const server = await startAgent((_request, response) => {
    response.writeHead(200, { 'content-length': '5000' });
    response.write('x');
  });
  expect(await refusal(peerOf(server))).toBe('too-large');
});

test('api.limits: an answer that turns out too large is cut off', async () => {
  const server = await startAgent((_request, response) => {
    response.write('x'.repeat(800));
    setTimeout(() => response.write('x'.repeat(800)), 20);
  });
  expect(await refusal(peerOf(server))).toBe('too-large');
});

test('api.limits: an answer of exactly the limit is read', async () => {
  const server = await startAgent((_request, response) => response.end('x'.repeat(1000)));
  expect((await pool.request(peerOf(server), ASK)).body.length).toBe(1000);
});

test('api.limits: an answer that comes a byte at a time ends at the deadline', async () => {
  const timers: NodeJS.Timeout[] = [];
  const server = await startAgent((_request, response) => {
    timers.push(setInterval(() => response.write('x'), 30));
  });
  const started = Date.now();
  expect(await refusal(peerOf(server), { timeoutMs: 300 })).toBe('timeout');
  expect(Date.now() - started).toBeLessThan(1500);
  timers.forEach(clearInterval);
});

test('api.limits: a peer that never finishes its handshake ends at the deadline', async () => {
  const server = await listen(createPlain(() => {}));
  const impatient = new PinnedPool({ ...verifier, ...POOL, connectTimeoutMs: 200 });
  const error = await impatient.request(peerOf(server), ASK).catch((caught: unknown) => caught);
  expect(error).toMatchObject({ reason: 'timeout' });
  await impatient.close();
});

test('a request that timed out does not hold up the next one', async () => {
  let first = true;
  const server = await startAgent((_request, response) => {
    if (!first) response.end('second');
    first = false;
  });
  expect(await refusal(peerOf(server), { timeoutMs: 200 })).toBe('timeout');
  expect((await pool.request(peerOf(server), ASK)).body.toString()).toBe('second');
});

test('a peer that is not there, or speaks no TLS, or hangs up, is unreachable', async () => {
  const gone = await listen(createPlain());
  const peer = peerOf(gone);
  gone.close();
  expect(await refusal({ ...peer, id: 'gone' })).toBe('unreachable');
  const plain = await listen(createPlain((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\n')));
  expect(await refusal(peerOf(plain, { id: 'plain' }))).toBe('unreachable');
  const rude = await startAgent((request) => request.socket.destroy());
  expect(await refusal(peerOf(rude, { id: 'rude' }))).toBe('unreachable');
});

test('a peer that is dropped is connected to afresh', async () => {
  const sockets = new Set<unknown>();
  const server = await startAgent((request, response) => {
    sockets.add(request.socket);
    response.end();
  });
  await pool.request(peerOf(server), ASK);
  await pool.drop('n');
  await pool.request(peerOf(server), ASK);
  expect(sockets.size).toBe(2);
});
