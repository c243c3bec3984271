import { beforeEach, expect, test } from 'vitest';
import { type BanPlace, banReconciler } from '../../../issuer/bans/reconciler.ts';
import { banStore, followWishes, listBans } from '../../../issuer/store/bans.ts';
import { silent, useDatabase } from '../support/database.ts';
import { addNode, endTrust, pass } from './fixture.ts';

const database = useDatabase();
const signal = new AbortController().signal;

beforeEach(async () => {
  await database().pool.query('TRUNCATE ban, ban_place, node, node_trust, trust_event');
});

/** What SPIRE is to the reconciler: a set that forgets and fails. */
function fakePlace() {
  const banned = new Set<string>();
  const calls: string[] = [];
  const place: BanPlace & { failures: number; unknown: boolean; beforeEffect: () => Promise<void> } = {
    name: 'east',
    groups: undefined,
    failures: 0,
    unknown: false,
    beforeEffect: async () => {},
    async ban(nodeId) {
      await act(`ban ${nodeId}`, () => !place.unknown && banned.add(nodeId));
      return place.unknown ? 'it has not attested' : undefined;
    },
    async holds(nodeId) {
      await act(`look ${nodeId}`, () => {});
      return banned.has(nodeId);
    },
    unban: (nodeId) => act(`unban ${nodeId}`, () => banned.delete(nodeId)),
  };
  async function act(call: string, effect: () => void): Promise<undefined> {
    calls.push(call);
    if (place.failures > 0) {
      place.failures -= 1;
      throw new Error('the server is away\n');
    }
    const { beforeEffect } = place;
    place.beforeEffect = async () => {};
    await beforeEffect();
    effect();
    return undefined;
  }
  return { place, banned, calls };
}

function reconciler(place: BanPlace, confirmAfterMs = 3_600_000) {
  let time = Date.now();
  const made = banReconciler({
    store: banStore(database()),
    place,
    clock: () => new Date(time),
    logger: silent,
    confirmAfterMs,
  });
  return { round: () => made.round(signal), advance: (ms: number) => (time += ms) };
}

async function bannedNode(): Promise<string> {
  const { id } = await addNode(database());
  await pass(database(), id);
  await endTrust(database(), id, 'banned');
  return id;
}

const unban = (id: string) =>
  database().pool.query("UPDATE node_trust SET standing = 'unknown' WHERE node_id = $1", [id]);
const rows = (places = ['east', 'west']) => listBans(database().db, () => places);
const at = async (name: string) =>
  (await rows()).flatMap(({ wanted, places }) =>
    places.filter(({ place }) => place === name).map((one) => ({ wanted, ...one })),
  );

test('without a place bans are wanted, and wait', async () => {
  const id = await bannedNode();
  await followWishes(database());
  expect(await rows()).toMatchObject([{ nodeId: id, wanted: true, places: [] }]);
});

test('a place is asked for the nodes of its groups alone', async () => {
  const [web, db] = [await bannedNode(), await bannedNode()];
  await database().pool.query("UPDATE node SET group_name = 'db' WHERE id = $1", [db]);
  const { place, banned } = fakePlace();
  await reconciler({ ...place, groups: new Set(['db', 'other']) }).round();
  expect([...banned]).toEqual([db]);
  expect(await at('east')).toMatchObject([{ appliedAt: expect.any(String) }]);
  await reconciler({ ...place, name: 'west', groups: undefined }).round();
  expect([...banned].sort()).toEqual([web, db].sort());
});

test('a place that was taken out of the configuration is not listed, and begins where it was when it is back', async () => {
  const id = await bannedNode();
  const { place } = fakePlace();
  await reconciler(place).round();
  expect(await rows(['west'])).toMatchObject([{ nodeId: id, wanted: true, places: [] }]);
  expect(await rows()).toMatchObject([{ places: [{ place: 'east', appliedAt: expect.any(String) }] }]);
});

test('a node that failed without a ban, and one that passes, are not banned', async () => {
  const failed = await addNode(database());
  await pass(database(), failed.id);
  await endTrust(database(), failed.id, 'failed');
  await pass(database(), (await addNode(database())).id);
  await addNode(database());
  await followWishes(database());
  expect(await rows()).toEqual([]);
});

test('a retired node is banned, whether it ever had a verdict or not', async () => {
  const { id } = await addNode(database(), { admission: 'retired', retired_at: new Date() });
  const { place, banned } = fakePlace();
  await reconciler(place).round();
  expect([...banned]).toEqual([id]);
});

test('a ban is applied once and noted', async () => {
  const id = await bannedNode();
  const { place, calls } = fakePlace();
  const { round } = reconciler(place);
  await round();
  await round();
  expect(calls).toEqual([`ban ${id}`]);
  expect(await at('east')).toMatchObject([{ wanted: true, appliedAt: expect.any(String), lastError: null }]);
});

test('an un-ban is applied, and the row says so', async () => {
  const id = await bannedNode();
  const { place, banned } = fakePlace();
  const { round } = reconciler(place);
  await round();
  await unban(id);
  await round();
  expect(banned.size).toBe(0);
  expect(await at('east')).toMatchObject([{ wanted: false, appliedAt: expect.any(String) }]);
});

test('a place that fails is asked again, later and later, until it is so', async () => {
  const id = await bannedNode();
  const { place, banned, calls } = fakePlace();
  place.failures = 3;
  const { round, advance } = reconciler(place);
  expect((await round())?.getTime()).toBeGreaterThan(Date.now());
  await round();
  expect(calls, 'not before its time').toHaveLength(1);
  expect(await at('east')).toMatchObject([
    { attempts: 1, lastError: 'the server is away\\x0a', appliedAt: null },
  ]);
  advance(1000);
  await round();
  advance(1000);
  await round();
  expect(calls, 'the second wait is longer').toHaveLength(2);
  advance(1000);
  await round();
  expect(calls).toHaveLength(3);
  advance(4000);
  await round();
  expect([...banned]).toEqual([id]);
  expect(await at('east')).toMatchObject([{ attempts: 0, lastError: null, appliedAt: expect.any(String) }]);
});

test('one node that fails does not hold up another', async () => {
  const [first, second] = [await bannedNode(), await bannedNode()];
  const { place, banned } = fakePlace();
  const picky: BanPlace = {
    ...place,
    ban: (id) => (id === first ? Promise.reject(new Error('no such agent')) : place.ban(id)),
  };
  await reconciler(picky).round();
  expect([...banned]).toEqual([second]);
});

test('ban.kept: a place that forgot is told again', async () => {
  const id = await bannedNode();
  const { place, banned } = fakePlace();
  const { round } = reconciler(place, 0);
  await round();
  banned.clear();
  await round();
  expect([...banned]).toEqual([id]);
});

test('ban.kept: what cannot be banned yet is tried again every two seconds, and is no error', async () => {
  const id = await bannedNode();
  const { place, banned, calls } = fakePlace();
  place.unknown = true;
  const { round, advance } = reconciler(place);
  await round();
  await round();
  expect(calls).toHaveLength(1);
  expect(await at('east')).toMatchObject([
    { attempts: 0, appliedAt: null, lastError: 'it has not attested' },
  ]);
  place.unknown = false;
  advance(2000);
  await round();
  expect([...banned]).toEqual([id]);
  expect(await at('east')).toMatchObject([{ lastError: null, appliedAt: expect.any(String) }]);
});

test('ban.kept: a ban survives a restart of the issuer', async () => {
  const id = await bannedNode();
  const { place, banned } = fakePlace();
  place.failures = 1;
  await reconciler(place).round();
  await reconciler(place).round();
  expect([...banned]).toEqual([id]);
});

test('a change of mind while the place was called is applied afterwards', async () => {
  const id = await bannedNode();
  const { place, banned } = fakePlace();
  const first = reconciler(place);
  const second = reconciler(place);
  place.beforeEffect = async () => {
    await unban(id);
    await second.round();
  };
  await first.round();
  expect([...banned], 'the late ban won the race').toEqual([id]);
  expect(await rows(), 'what was reached is not what is wanted').toMatchObject([
    { wanted: false, places: [] },
  ]);
  await first.round();
  expect(banned.size).toBe(0);
  expect(await at('east')).toMatchObject([{ wanted: false, appliedAt: expect.any(String) }]);
});

test('ban.kept: a late un-ban does not undo a newer ban', async () => {
  const id = await bannedNode();
  const { place, banned } = fakePlace();
  const first = reconciler(place);
  const second = reconciler(place);
  await first.round();
  await unban(id);
  place.beforeEffect = async () => {
    await endTrust(database(), id, 'banned');
    await second.round();
  };
  await first.round();
  await first.round();
  expect([...banned]).toEqual([id]);
});
