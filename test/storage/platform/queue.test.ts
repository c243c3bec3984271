import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type JobQueue, openJobQueue, type QueuePlace } from '../../../platform/queue/index.ts';
import { useDatabase } from '../support/database.ts';
import { findRedis, type TestRedis } from '../support/redis.ts';
import { silent } from '../support/server.ts';
import { until } from '../support/until.ts';

const database = useDatabase();
const openRedis = findRedis();
let redis: TestRedis | undefined;

interface Server {
  readonly kind: QueuePlace['kind'];
  place(): QueuePlace;
  /** Breaks every connection of the clients, as a restart of the server does. */
  disconnect(): Promise<void>;
}

const servers: Server[] = [
  {
    kind: 'postgresql',
    place: () => ({ kind: 'postgresql', connection: database().connection }),
    async disconnect() {
      await database().pool.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
      );
    },
  },
];
if (openRedis) {
  beforeAll(async () => {
    redis = await openRedis();
  });
  afterAll(() => redis?.stop());
  servers.push({
    kind: 'redis',
    place: () => ({ kind: 'redis', url: redis?.url ?? '' }),
    async disconnect() {
      const admin = new Redis(redis?.url ?? '');
      await admin.call('CLIENT', 'KILL', 'SKIPME', 'yes');
      admin.disconnect();
    },
  });
}

for (const server of servers) {
  describe(`jobs on ${server.kind}`, () => {
    const opened: JobQueue[] = [];
    const open = () => {
      const queue = openJobQueue({ place: server.place(), logger: silent });
      opened.push(queue);
      return queue;
    };
    const newName = () => `test-${randomUUID()}`;
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((queue) => queue.close()));
    });

    test('a job that one process tells is done once by another', async () => {
      const name = newName();
      const done: unknown[] = [];
      for (let workers = 0; workers < 3; workers += 1) {
        await open().work(name, async (payload) => void done.push(payload));
      }
      const teller = open();
      for (let index = 0; index < 20; index += 1) await teller.enqueue(name, { index });
      await until('20 jobs are done', () => done.length >= 20);
      expect(new Set(done.map((payload) => JSON.stringify(payload))).size).toBe(20);
      expect(done).toHaveLength(20);
    });

    test('a job that was told before anybody works waits', async () => {
      const name = newName();
      const teller = open();
      await teller.enqueue(name, { early: true });
      await teller.close();
      opened.splice(0);
      const done: unknown[] = [];
      await open().work(name, async (payload) => void done.push(payload));
      await until('the job is done', () => done.length === 1);
      expect(done).toEqual([{ early: true }]);
    });

    test('a job that fails is tried again, with waits that double, and then given up', async () => {
      const name = newName();
      const times: number[] = [];
      const queue = open();
      await queue.work(name, async () => {
        times.push(Date.now());
        throw new Error('not yet');
      });
      await queue.enqueue(name, {}, { attempts: 3, backoffMs: 100 });
      await until('it is tried three times', () => times.length === 3);
      const [first = 0, second = 0, third = 0] = times;
      expect(second - first).toBeGreaterThanOrEqual(90);
      expect(third - second).toBeGreaterThanOrEqual(180);
      await new Promise((resolve) => setTimeout(resolve, 600));
      expect(times).toHaveLength(3);
    });

    test('jobs with one id are one job while it waits', async () => {
      const name = newName();
      const teller = open();
      for (let time = 0; time < 3; time += 1) await teller.enqueue(name, { time }, { dedupeId: 'same' });
      await teller.enqueue(name, { other: true }, { dedupeId: 'other' });
      const done: unknown[] = [];
      await open().work(name, async (payload) => void done.push(payload));
      await until('both are done', () => done.length >= 2);
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(done).toHaveLength(2);
      await teller.enqueue(name, { again: true }, { dedupeId: 'same' });
      await until('a later one is a new job', () => done.length === 3);
    });

    test('a delayed job waits', async () => {
      const name = newName();
      const queue = open();
      let at = 0;
      await queue.work(name, async () => {
        at = Date.now();
      });
      const told = Date.now();
      await queue.enqueue(name, {}, { delayMs: 400 });
      await until('it is done', () => at > 0);
      expect(at - told).toBeGreaterThanOrEqual(390);
    });

    test('closing waits for the job under way', async () => {
      const name = newName();
      const queue = open();
      let state = 'waiting';
      await queue.work(name, async () => {
        state = 'running';
        await new Promise((resolve) => setTimeout(resolve, 300));
        state = 'done';
      });
      await queue.enqueue(name, {});
      await until('it runs', () => state === 'running');
      await queue.close();
      expect(state).toBe('done');
    });

    test('lost connections come back, and jobs told after that are done', async () => {
      const name = newName();
      const queue = open();
      const done: unknown[] = [];
      await queue.work(name, async (payload) => void done.push(payload));
      await queue.enqueue(name, { before: true });
      await until('the first is done', () => done.length === 1);
      await server.disconnect();
      await until('a job can be told again', () =>
        queue.enqueue(name, { after: true }, { dedupeId: 'after' }).then(
          () => true,
          () => false,
        ),
      );
      await until('the second is done', () => done.length >= 2, 30_000);
    });
  });
}

test('a Redis that must be there and is not stops the tests with the reason', () => {
  expect(() => findRedis({ PATH: '/nonexistent', ASSAY_TEST_REDIS: 'required' })).toThrow(
    /ASSAY_TEST_REDIS=required, but there is no Redis/,
  );
  expect(findRedis({ PATH: '/nonexistent' })).toBeUndefined();
});
