import { createHmac, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WebhookMessage } from '../../../core/messages/webhook.ts';
import { createLogger } from '../../../platform/logging.ts';
import { appendTrustEvents } from '../../../verifier/store/trust-events.ts';
import { openWebhooks } from '../../../verifier/webhooks/config.ts';
import { startWebhooks, type Webhooks } from '../../../verifier/webhooks/webhooks.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab } from './lab.ts';

const database = useDatabase();
const silent = createLogger({ level: 'silent', name: 'test' });
const KEY = Buffer.from('0123456789abcdef0123456789abcdef');
const directory = mkdtempSync(join(tmpdir(), 'assay-webhooks-'));
writeFileSync(join(directory, 'secret'), `whsec_${KEY.toString('base64')}`, { mode: 0o600 });
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Received {
  readonly id: string;
  readonly seq: number;
  readonly message: WebhookMessage;
  readonly signed: boolean;
}

/** Something that takes webhooks, or does not. */
class Receiver {
  readonly received: Received[] = [];
  answer: (received: Received, response: ServerResponse) => void = (_received, response) =>
    void response.writeHead(204).end();
  #server = createServer((request, response) => void this.#take(request, response));
  url = '';

  async start(port = 0): Promise<this> {
    this.#server = createServer((request, response) => void this.#take(request, response));
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    this.url = `http://127.0.0.1:${address.port}/hidden?token=hidden`;
    return this;
  }

  async stop(): Promise<number> {
    const { port } = new URL(this.url);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    return Number(port);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const id = String(request.headers['webhook-id']);
    const time = String(request.headers['webhook-timestamp']);
    const mac = createHmac('sha256', KEY).update(`${id}.${time}.${body}`).digest('base64');
    const signed = request.headers['webhook-signature'] === `v1,${mac}`;
    const message: WebhookMessage = JSON.parse(body);
    const received = { id, seq: message.data.seq, message, signed };
    this.received.push(received);
    this.answer(received, response);
  }
}

let lab: Lab;
let receiver: Receiver;
let node: string;
const open: Webhooks[] = [];

beforeEach(async () => {
  await emptyTables(database());
  await database().pool.query('TRUNCATE webhook');
  lab = new Lab(database());
  await lab.policy();
  ({ id: node } = await lab.node());
  receiver = await new Receiver().start();
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((webhooks) => webhooks.close()));
  await receiver.stop().catch(() => {});
  await lab.close();
});

async function start(...sections: readonly object[]): Promise<Webhooks> {
  const parsed = sections.map((section, index) => ({
    ...{ name: `hook-${index}`, url: receiver.url, 'secret-files': ['secret'], timeout: '1s' },
    ...section,
  }));
  const webhooks = await startWebhooks(await openWebhooks(parsed, directory), {
    ...{ database: database(), logger: silent, onOutcome: () => {} },
  });
  open.push(webhooks);
  return webhooks;
}

const happens = (kind: 'trusted' | 'failed' | 'banned' | 'rebooted', nodeId = node) =>
  database().transaction((tx) =>
    appendTrustEvents(tx, [{ nodeId, kind, epoch: ++epoch, detail: { why: kind } }]),
  );
let epoch = 0;
const kinds = () => receiver.received.map(({ message }) => message.type);
const arrived = (count: number) => until('messages', () => receiver.received.length >= count);

test('an event is sent at once, signed, with whom it is about', async () => {
  await happens('trusted');
  await start({});
  await happens('failed');
  await arrived(1);
  expect(receiver.received).toMatchObject([
    {
      signed: true,
      message: {
        type: 'node.failed',
        timestamp: expect.stringMatching(/Z$/),
        data: { nodeId: node, group: 'web', detail: { why: 'failed' } },
      },
    },
  ]);
  expect(receiver.received[0]?.message.data.alias).toMatch(/./);
});

test('many are sent in order, each once', async () => {
  await start({});
  for (let index = 0; index < 250; index += 1) await happens('rebooted');
  await arrived(250);
  const seqs = receiver.received.map(({ seq }) => seq);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  expect(seqs).toHaveLength(250);
});

test('one that is not taken is sent again, with the same id, before the next', async () => {
  let refusals = 2;
  receiver.answer = (_received, response) => {
    refusals -= 1;
    response.writeHead(refusals >= 0 ? 500 : 200).end();
  };
  const webhooks = await start({});
  await happens('failed');
  await happens('banned');
  await until('the first refusal', async () => (await webhooks.list())[0]?.state === 'failing');
  expect(await webhooks.list()).toMatchObject([{ pending: 2, lastError: 'it answered with status 500' }]);
  await arrived(4);
  expect(kinds()).toEqual(['node.failed', 'node.failed', 'node.failed', 'node.banned']);
  expect(new Set(receiver.received.slice(0, 3).map(({ id }) => id)).size).toBe(1);
  await until('all is well', async () => (await webhooks.list())[0]?.pending === 0);
  expect(await webhooks.list()).toMatchObject([
    { state: 'delivering', failures: 0, lastError: null, nextAt: null },
  ]);
});

test('what happened while the receiver and the verifier were away comes afterwards', async () => {
  const first = await start({});
  const port = await receiver.stop();
  await happens('failed');
  await until('a failure', async () => (await first.list())[0]?.state === 'failing');
  await first.close();
  open.length = 0;
  await happens('banned');
  await receiver.start(port);
  await start({});
  await arrived(2);
  expect(kinds()).toEqual(['node.failed', 'node.banned']);
});

test('two verifiers send each event once', async () => {
  await Promise.all([start({}), start({})]);
  for (let index = 0; index < 40; index += 1) await happens('rebooted');
  await arrived(40);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(receiver.received).toHaveLength(40);
});

test('a verifier that died with the lease is followed by another when it has run out', async () => {
  const webhooks = await start({});
  await webhooks.close();
  open.length = 0;
  await database().pool.query(
    `UPDATE webhook SET owner = $1, leased_until = clock_timestamp() + interval '1 second'`,
    [randomUUID()],
  );
  await happens('failed');
  await start({});
  expect(receiver.received).toHaveLength(0);
  await arrived(1);
});

test('only the kinds and groups that are wanted are sent, and the others do not wait', async () => {
  const other = await lab.node();
  await database().pool.query(`UPDATE node SET group_name = 'db' WHERE id = $1`, [other.id]);
  const webhooks = await start({ events: ['failed'], groups: ['web'] });
  await happens('banned');
  await happens('failed', other.id);
  await happens('failed');
  await arrived(1);
  expect(receiver.received).toMatchObject([{ message: { type: 'node.failed', data: { nodeId: node } } }]);
  await until('nothing waits', async () => (await webhooks.list())[0]?.pending === 0);
});

test('one that is slow holds up no other', async () => {
  const slow = await new Receiver().start();
  slow.answer = () => {};
  const webhooks = await start({}, { url: slow.url });
  await happens('failed');
  await arrived(1);
  await until('it is given up', async () => (await webhooks.list()).some(({ state }) => state === 'failing'));
  const said = (await webhooks.list()).find(({ name }) => name === 'hook-1');
  expect(said?.lastError).toMatch(/no answer in 1000 ms/);
  await slow.stop();
});

test('one that is gone is left alone until a person says otherwise', async () => {
  receiver.answer = (_received, response) => void response.writeHead(410).end();
  const webhooks = await start({});
  await happens('failed');
  await until('it is gone', async () => (await webhooks.list())[0]?.state === 'gone');
  await happens('banned');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(receiver.received).toHaveLength(1);
  receiver.answer = (_received, response) => void response.writeHead(200).end();
  await webhooks.resume('hook-0');
  await arrived(3);
  expect(kinds()).toEqual(['node.failed', 'node.failed', 'node.banned']);
});

describe('what a receiver says', () => {
  test('is not followed elsewhere', async () => {
    const elsewhere = await new Receiver().start();
    receiver.answer = (_received, response) =>
      void response.writeHead(307, { location: elsewhere.url }).end();
    const webhooks = await start({});
    await happens('failed');
    await until('a failure', async () => (await webhooks.list())[0]?.state === 'failing');
    expect(elsewhere.received).toEqual([]);
    expect((await webhooks.list())[0]?.lastError).toBe('it answered with status 307');
    await elsewhere.stop();
  });

  test('is not read to its end when it has none', async () => {
    receiver.answer = (_received, response) => {
      response.writeHead(200);
      const more = setInterval(() => response.write('x'.repeat(100_000)), 1);
      response.once('close', () => clearInterval(more));
    };
    const webhooks = await start({});
    await happens('failed');
    await until('it counts', async () => (await webhooks.list())[0]?.deliveredAt !== null);
  });
});

test('a person can try it, and sees what went wrong; the list has no secret', async () => {
  const webhooks = await start({});
  expect(await webhooks.test('hook-0')).toEqual({ status: 204 });
  expect(receiver.received).toMatchObject([{ signed: true, message: { type: 'test' } }]);
  const [listed] = await webhooks.list();
  expect(listed?.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(JSON.stringify(listed)).not.toContain('hidden');
  await expect(webhooks.test('other')).rejects.toThrow(
    'there is no webhook other; verifier.webhooks has hook-0',
  );
  await receiver.stop();
  await expect(webhooks.test('hook-0')).rejects.toMatchObject({
    ...{ code: 'unavailable', message: expect.not.stringContaining('hidden') },
  });
});
