import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createHttpServer } from '../../../../platform/http/server.ts';
import { type EventSink, lastEventId, openEventStream } from '../../../../platform/http/sse.ts';
import { until } from '../../../storage/support/until.ts';
import { silent } from './toy-server.ts';

let app: ReturnType<typeof createHttpServer>;
const sinks: EventSink[] = [];
let cameBackWith: string | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  sinks.length = 0;
  for (const socket of sockets.splice(0)) socket.destroy();
  await app.close();
});

async function start(options: { heartbeatMs?: number; maxPendingBytes?: number } = {}): Promise<number> {
  app = createHttpServer({ service: 'events', logger: silent });
  app.get('/events', { config: { access: ['public'] } }, (request, reply) => {
    cameBackWith = lastEventId(request);
    sinks.push(openEventStream(reply, options));
  });
  app.get('/slow', { config: { access: ['public'] } }, async () => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return 'done';
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

interface Client {
  readonly socket: Socket;
  text(): string;
  closed(): boolean;
}

function get(port: number, path = '/events', headers = ''): Client {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  let closed = false;
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    closed = true;
  });
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`);
  return { socket, text: () => text, closed: () => closed };
}

async function sinkOf(): Promise<EventSink> {
  await until('the stream is open', () => sinks.length > 0);
  const [sink] = sinks;
  if (!sink) throw new Error('no stream');
  return sink;
}

test('events carry their id, and text of a node cannot end a line', async () => {
  const client = get(await start());
  const sink = await sinkOf();
  expect(sink.send('7', { text: 'a\n\ndata: forged' })).toBe(true);
  await until('the event came', () => client.text().includes('forged'));
  expect(client.text()).toContain('content-type: text/event-stream');
  expect(client.text()).toContain('id: 7\ndata: {"text":"a\\n\\ndata: forged"}\n\n');
});

test('an id that could break the format is a mistake of ours', async () => {
  get(await start());
  const sink = await sinkOf();
  for (const id of ['', 'a\nb', 'a b', 'x'.repeat(101)]) expect(() => sink.send(id, {})).toThrow(RangeError);
});

test('a client that comes back says where it was; what cannot be an id is not believed', async () => {
  const port = await start();
  get(port, '/events', 'last-event-id: 41\r\n');
  await until('the stream is open', () => sinks.length === 1);
  expect(cameBackWith).toBe('41');
  get(port, '/events', `last-event-id: ${'9'.repeat(200)}\r\n`);
  await until('the stream is open', () => sinks.length === 2);
  expect(cameBackWith).toBeUndefined();
});

test('a quiet stream is kept alive', async () => {
  const client = get(await start({ heartbeatMs: 20 }));
  await until('it beats', () => client.text().split(': alive').length > 3);
});

test('a client that goes is noticed, and nothing is sent to it', async () => {
  const client = get(await start());
  const sink = await sinkOf();
  client.socket.destroy();
  await until('it is noticed', () => sink.closed.aborted);
  expect(sink.send('1', {})).toBe(false);
});

test('api.limits: a client that does not read is cut off, and not buffered for', async () => {
  const client = get(await start({ maxPendingBytes: 200_000 }));
  const sink = await sinkOf();
  client.socket.pause();
  let sent = 0;
  while (sink.send(String(sent), 'x'.repeat(10_000))) {
    sent += 1;
    if (sent > 10_000) throw new Error('everything was buffered');
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until('it is closed', () => sink.closed.aborted);
});

test('closing the server ends streams at once, and lets answers under way finish', async () => {
  const port = await start();
  const stream = get(port);
  await sinkOf();
  const slow = get(port, '/slow', 'connection: keep-alive\r\n');
  await until('both are connected', async () => (await connectionsOf()) === 2);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const started = Date.now();
  await app.close();
  expect(Date.now() - started).toBeLessThan(2000);
  await until('both are closed', () => stream.closed() && slow.closed());
  expect(slow.text()).toContain('done');
});

const connectionsOf = () =>
  new Promise<number>((resolve, reject) =>
    app.server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
  );
