import { EventEmitter } from 'node:events';
import { connect as connectPlain, Server } from 'node:net';
import tls from 'node:tls';
import { afterEach, describe, expect, test } from 'vitest';
import { clientNetwork, limitConnections } from '../../../../platform/http/limits.ts';
import { createHttpServer } from '../../../../platform/http/server.ts';
import { createSelfSigned } from './certificates.ts';
import { agentFor, ask, NODE_ID, silent, startToyServer, type ToyServer } from './toy-server.ts';

let toy: ToyServer | undefined;
afterEach(async () => {
  await toy?.app.close();
  toy = undefined;
});

async function start(options: Parameters<typeof startToyServer>[0] = {}): Promise<ToyServer> {
  toy = await startToyServer(options);
  return toy;
}

/** Sends raw bytes over TLS and gives back all that came until the server closed. */
function speak(
  server: ToyServer,
  parts: readonly string[],
  everyMs = 0,
): Promise<{ text: string; ms: number }> {
  const started = Date.now();
  return new Promise((resolve) => {
    const socket = tls.connect({ port: server.port, host: '127.0.0.1', rejectUnauthorized: false });
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(timer);
      resolve({ text, ms: Date.now() - started });
    });
    const rest = [...parts];
    const timer = setInterval(() => {
      const next = rest.shift();
      if (next !== undefined) socket.write(next);
    }, everyMs);
  });
}

describe('api.limits: bodies', () => {
  test('a body over the limit of its route is refused', async () => {
    const body = JSON.stringify({ text: 'x'.repeat(2000) });
    const answer = await ask(await start(), '/echo', { method: 'POST', body });
    expect(answer).toMatchObject({
      status: 413,
      type: expect.stringMatching(/^application\/problem\+json/),
      body: { code: 'too-large' },
    });
  });

  test('a body without a length is cut off at the limit', async () => {
    const chunk = `400\r\n${'x'.repeat(1024)}\r\n`;
    const head =
      'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n';
    const { text } = await speak(await start(), [head, chunk, chunk, chunk], 5);
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
  });

  const hostile: readonly [name: string, body: string][] = [
    ['deep JSON', '['.repeat(500) + ']'.repeat(500)],
    ['a prototype', '{"text":"x","__proto__":{"admin":true}}'],
    ['a key that the route does not know', '{"text":"x","more":1}'],
    ['a text where a number is wanted', '{"text":"x","count":"1"}'],
    ['a number where a text is wanted', '{"text":1}'],
    ['half of it', '{"text":'],
    ['nothing', ''],
  ];
  for (const [name, body] of hostile) {
    test(`${name} is refused, not mended`, async () => {
      const answer = await ask(await start(), '/echo', { method: 'POST', body });
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid-request' } });
    });
  }

  test('a body of another type is refused', async () => {
    const answer = await ask(await start(), '/echo', {
      method: 'POST',
      body: 'text=x',
      type: 'application/x-www-form-urlencoded',
    });
    expect(answer.status).toBe(400);
  });
});

describe('api.limits: slow and greedy clients', () => {
  const timeouts = { handshakeMs: 400, headersMs: 400, requestMs: 800, idleMs: 300 };

  test('one that sends its headers a byte at a time is closed', async () => {
    const bytes = Array.from({ length: 400 }, () => 'x');
    const { ms } = await speak(await start({ timeouts }), ['GET /public HTTP/1.1\r\nx-slow: ', ...bytes], 10);
    expect(ms).toBeLessThan(3000);
  });

  test('one that sends its body a byte at a time is closed', async () => {
    const head =
      'POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n';
    const { ms, text } = await speak(
      await start({ timeouts }),
      [head, ...Array.from({ length: 900 }, () => ' ')],
      10,
    );
    expect(ms).toBeLessThan(4000);
    expect(text).not.toContain('200 OK');
  });

  test('one that says nothing after its handshake is closed', async () => {
    expect((await speak(await start({ timeouts }), [], 1000)).ms).toBeLessThan(3000);
  });

  test('one that never starts its handshake is closed', async () => {
    const { port } = await start({ timeouts });
    const started = Date.now();
    await new Promise((resolve) =>
      connectPlain(port, '127.0.0.1')
        .on('error', () => {})
        .on('close', resolve),
    );
    expect(Date.now() - started).toBeLessThan(3000);
  });

  test('a connection that waits for nothing is closed', async () => {
    const { ms, text } = await speak(
      await start({ timeouts }),
      ['GET /public HTTP/1.1\r\nhost: x\r\n\r\n'],
      1,
    );
    expect(text).toContain('200 OK');
    expect(ms).toBeLessThan(4000);
  });

  test('headers over the limit are refused', async () => {
    const { text } = await speak(await start(), [`GET /public HTTP/1.1\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`]);
    expect(text).toMatch(/^HTTP\/1\.1 431 /);
  });

  test('TLS 1.2 is refused', async () => {
    const { port } = await start();
    const error = await new Promise((resolve) =>
      tls
        .connect({ port, host: '127.0.0.1', rejectUnauthorized: false, maxVersion: 'TLSv1.2' }, () =>
          resolve('open'),
        )
        .on('error', resolve),
    );
    expect(error).toMatchObject({ code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' });
  });
});

describe('api.limits: the rate of requests without a known certificate', () => {
  test('is limited, also on routes that would refuse them', async () => {
    const server = await start({ publicRequestsPerMinute: 3 });
    const statuses: number[] = [];
    for (const path of ['/public', '/admin', '/nowhere', '/public', '/admin'])
      statuses.push((await ask(server, path)).status);
    expect(statuses).toEqual([200, 401, 404, 429, 429]);
  });

  test('does not count known callers, whom nobody can lock out', async () => {
    const server = await start({ publicRequestsPerMinute: 2 });
    const node = await createSelfSigned('node');
    server.nodes.set(Buffer.from(node.sha256).toString('hex'), NODE_ID);
    for (let time = 0; time < 4; time += 1) await ask(server, '/public');
    expect((await ask(server, '/public')).status).toBe(429);
    for (let time = 0; time < 4; time += 1)
      expect((await ask(server, '/public', { identity: node })).status).toBe(200);
  });

  test('is counted for each network by itself', async () => {
    const app = createHttpServer({ service: 'plain', logger: silent, publicRequestsPerMinute: 2 });
    app.get('/', { config: { access: ['public'] } }, async () => 'x');
    const from = async (remoteAddress: string) => (await app.inject({ url: '/', remoteAddress })).statusCode;
    expect([await from('192.0.2.1'), await from('192.0.2.1'), await from('192.0.2.1')]).toEqual([
      200, 200, 429,
    ]);
    expect(await from('192.0.2.2')).toBe(200);
    expect([await from('2001:db8::1'), await from('2001:db8::2'), await from('2001:db8::3')]).toEqual([
      200, 200, 429,
    ]);
    expect(await from('2001:db8:0:1::1')).toBe(200);
    await app.close();
  });

  test('an unknown certificate costs one look into the records when the limit is reached', async () => {
    let lookups = 0;
    const server = await start({
      publicRequestsPerMinute: 2,
      findNode: async () => {
        lookups += 1;
        return undefined;
      },
    });
    const agent = agentFor(server, await createSelfSigned('stranger'));
    const statuses: number[] = [];
    for (let time = 0; time < 5; time += 1) {
      const answer = await agent.request({
        origin: `https://127.0.0.1:${server.port}`,
        path: '/node',
        method: 'GET',
      });
      statuses.push(answer.statusCode);
      await answer.body.dump();
    }
    await agent.destroy();
    expect(statuses).toEqual([401, 401, 429, 429, 429]);
    expect(lookups).toBe(2);
  });
});

const networks: readonly [address: string, network: string][] = [
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8::6', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
];
for (const [address, network] of networks) {
  test(`${address} counts as ${network}`, () => expect(clientNetwork(address)).toBe(network));
}

test('api.limits: one network cannot hold more than its share of connections, and frees them by closing', () => {
  const server = new Server();
  limitConnections(server, 2);
  const connect = (remoteAddress: string) => {
    const socket = Object.assign(new EventEmitter(), { remoteAddress, destroyed: false, destroy: () => {} });
    socket.destroy = () => {
      socket.destroyed = true;
      socket.emit('close');
    };
    server.emit('connection', socket);
    return socket;
  };
  const first = connect('192.0.2.1');
  expect([first, connect('192.0.2.1'), connect('192.0.2.1')].map(({ destroyed }) => destroyed)).toEqual([
    false,
    false,
    true,
  ]);
  expect(connect('192.0.2.2').destroyed).toBe(false);
  first.destroy();
  expect([connect('192.0.2.1'), connect('192.0.2.1')].map(({ destroyed }) => destroyed)).toEqual([
    false,
    true,
  ]);
  const neighbours = ['2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1'].map(connect);
  expect(neighbours.map(({ destroyed }) => destroyed)).toEqual([false, false, true, false]);
  for (let time = 0; time < 5; time += 1) expect(connect('127.0.0.1').destroyed).toBe(false);
});
