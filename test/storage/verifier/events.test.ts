import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import type { TrustEvent } from '../../../core/messages/node.ts';
import type { EventSink } from '../../../platform/http/sse.ts';
import { openEventFeed } from '../../../verifier/event-feed.ts';
import { appendTrustEvents } from '../../../verifier/store/trust-events.ts';
import { silent, useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables } from './lab.ts';

const database = useDatabase();

beforeEach(() => emptyTables(database()));

/** A client of the stream that keeps the numbers it saw. */
function reader(takes = Number.POSITIVE_INFINITY) {
  const seen: number[] = [];
  const end = new AbortController();
  const sink: EventSink = {
    closed: end.signal,
    close: () => end.abort(),
    send(id, data) {
      if (seen.length >= takes) return false;
      const { seq } = data as TrustEvent;
      expect(String(seq)).toBe(id);
      seen.push(seq);
      return true;
    },
  };
  return { seen, sink };
}

/** One transaction that ends `ms` after it has its number. */
function append(ms = 0): Promise<void> {
  return database().transaction(async (tx) => {
    await appendTrustEvents(tx, [{ nodeId: randomUUID(), kind: 'trusted', epoch: 0, detail: {} }]);
    await sleep(ms);
  });
}

async function committed(): Promise<number[]> {
  const { rows } = await database().pool.query<{ seq: number }>(
    'SELECT seq::int AS seq FROM trust_event ORDER BY seq',
  );
  return rows.map(({ seq }) => seq);
}

test('many writers at once: a reader sees every event, once and in order', async () => {
  const feed = await openEventFeed(database(), silent);
  const { seen, sink } = reader();
  const following = feed.follow(sink, 0);
  const writers = Array.from({ length: 6 }, async (_, writer) => {
    for (let round = 0; round < 10; round += 1) await append((writer * 7 + round * 3) % 20);
  });
  await Promise.all(writers);
  await until('all are seen', () => seen.length >= 60);
  sink.close();
  await following;
  await feed.close();
  expect(seen).toEqual(await committed());
});

test('an event with an earlier number cannot be committed after a later one', async () => {
  const slow = append(400);
  await sleep(100);
  await append();
  // The second one waited: when it can be seen, so can the first.
  expect(await committed()).toHaveLength(2);
  await slow;
});

test('a client that comes back goes on after the last number it saw', async () => {
  const feed = await openEventFeed(database(), silent);
  for (let round = 0; round < 5; round += 1) await append();
  const first = reader(2);
  await feed.follow(first.sink, 0);
  const second = reader();
  const following = feed.follow(second.sink, first.seen.at(-1));
  await until('the rest', () => second.seen.length === 3);
  second.sink.close();
  await following;
  await feed.close();
  expect([...first.seen, ...second.seen]).toEqual(await committed());
});

test('a new client hears what comes from now on', async () => {
  const feed = await openEventFeed(database(), silent);
  await append();
  const { seen, sink } = reader();
  const following = feed.follow(sink, undefined);
  await sleep(200);
  await append();
  await until('the new one', () => seen.length === 1);
  sink.close();
  await following;
  await feed.close();
  expect(seen).toEqual((await committed()).slice(-1));
});
