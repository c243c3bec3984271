import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeEach, expect, test } from 'vitest';
import { shardLeases } from '../../../platform/leases.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();
const SHARDS = 12;

beforeEach(async () => {
  await database().pool.query('TRUNCATE poll_shard, poll_owner');
});

const shardsOf = (leases: readonly { shard: number }[]) =>
  leases.map(({ shard }) => shard).sort((a, b) => a - b);

test('one owner holds everything', async () => {
  const alone = shardLeases(database(), randomUUID(), SHARDS, 5000);
  expect(shardsOf(await alone.tend())).toEqual([...Array(SHARDS).keys()]);
});

test('a newcomer gets its fair share, and no shard has two holders', async () => {
  const a = shardLeases(database(), randomUUID(), SHARDS, 5000);
  const b = shardLeases(database(), randomUUID(), SHARDS, 5000);
  await a.tend();
  await b.tend();
  const held = await a.tend();
  const taken = await b.tend();
  expect(held.length).toBe(SHARDS / 2);
  expect(taken.length).toBe(SHARDS / 2);
  expect(shardsOf([...held, ...taken])).toEqual([...Array(SHARDS).keys()]);
});

test('a dead owner loses its shards when its lease ends, and its fences with them', async () => {
  const dead = shardLeases(database(), randomUUID(), SHARDS, 300);
  const before = await dead.tend();
  const heir = shardLeases(database(), randomUUID(), SHARDS, 5000);
  expect(await heir.tend()).toEqual([]);
  await sleep(400);
  const after = await heir.tend();
  expect(shardsOf(after)).toEqual([...Array(SHARDS).keys()]);
  for (const { shard, fence } of after) {
    expect(fence).toBeGreaterThan(before.find((lease) => lease.shard === shard)?.fence ?? 0);
  }
});

test('renewing keeps the fence, giving back frees at once', async () => {
  const owner = shardLeases(database(), randomUUID(), SHARDS, 5000);
  const first = await owner.tend();
  const fences = new Map(first.map(({ shard, fence }) => [shard, fence]));
  for (const { shard, fence } of await owner.tend()) expect(fence).toBe(fences.get(shard));
  await owner.release();
  const next = shardLeases(database(), randomUUID(), SHARDS, 5000);
  expect((await next.tend()).length).toBe(SHARDS);
});

test('what a lost lease knew may not be written; what is held stays locked until it is', async () => {
  const old = shardLeases(database(), randomUUID(), 2, 200);
  const held = await old.tend();
  expect(await database().transaction((tx) => old.stillHeld(tx, held))).toEqual(new Set([0, 1]));
  await sleep(300);
  expect(await database().transaction((tx) => old.stillHeld(tx, held))).toEqual(new Set());
  const heir = shardLeases(database(), randomUUID(), 2, 5000);
  const taken = await heir.tend();
  expect(await database().transaction((tx) => old.stillHeld(tx, held))).toEqual(new Set());
  expect(await database().transaction((tx) => heir.stillHeld(tx, taken))).toEqual(new Set([0, 1]));
  const stale = taken.map(({ shard, fence }) => ({ shard, fence: fence - 1 }));
  expect(await database().transaction((tx) => heir.stillHeld(tx, stale))).toEqual(new Set());
});

test('shards that configuration no longer has are given up', async () => {
  const owner = randomUUID();
  await shardLeases(database(), owner, 4, 5000).tend();
  expect(shardsOf(await shardLeases(database(), owner, 2, 5000).tend())).toEqual([0, 1]);
  const { rows } = await database().pool.query(
    'SELECT count(*)::int AS held FROM poll_shard WHERE owner IS NOT NULL',
  );
  expect(rows).toEqual([{ held: 2 }]);
});

test('many that tend at once never hold the same shard', async () => {
  const owners = Array.from({ length: 5 }, () => shardLeases(database(), randomUUID(), SHARDS, 5000));
  for (let round = 0; round < 4; round += 1) await Promise.all(owners.map((owner) => owner.tend()));
  const { rows } = await database().pool.query<{ owner: string; shards: string }>(
    'SELECT owner, count(*) AS shards FROM poll_shard WHERE lease_until > now() GROUP BY owner',
  );
  expect(rows.reduce((sum, row) => sum + Number(row.shards), 0)).toBe(SHARDS);
  expect(rows.every((row) => Number(row.shards) <= 3)).toBe(true);
});

test('a fence is of one owner for ever, while owners stall, leave and come back', async () => {
  const holders = new Map<string, string>();
  const work = async (seed: number): Promise<void> => {
    const owner = randomUUID();
    const leases = shardLeases(database(), owner, SHARDS, 60);
    for (let round = 0; round < 12; round += 1) {
      for (const { shard, fence } of await leases.tend()) {
        const key = `${shard}:${fence}`;
        const holder = holders.get(key) ?? owner;
        expect({ key, holder }).toEqual({ key, holder: owner });
        holders.set(key, owner);
      }
      // Some tend in time, some come too late, some leave in order.
      if ((round + seed) % 4 === 3) await sleep(90);
      else if ((round + seed) % 4 === 1) await leases.release();
      else await sleep(10);
    }
  };
  await Promise.all([0, 1, 2, 3].map(work));
  expect(new Set(holders.values()).size).toBe(4);
  expect(holders.size).toBeGreaterThan(SHARDS);
});

test('of newcomers that come at the same moment no two get the same shard', async () => {
  for (let round = 0; round < 8; round += 1) {
    await database().pool.query('UPDATE poll_shard SET owner = NULL');
    await database().pool.query('TRUNCATE poll_owner');
    const owners = Array.from({ length: 6 }, () => shardLeases(database(), randomUUID(), SHARDS, 5000));
    const held = (await Promise.all(owners.map((owner) => owner.tend()))).flat();
    expect(new Set(held.map(({ shard }) => shard)).size).toBe(held.length);
  }
});
