import { beforeEach, expect, test } from 'vitest';
import { type BanTarget, banReconciler } from '../../../issuer/bans/reconciler.ts';
import { banStore, listBans } from '../../../issuer/store/bans.ts';
import { silent, useDatabase } from '../support/database.ts';
import { addNode, endTrust, pass } from './fixture.ts';

const database = useDatabase();
const signal = new AbortController().signal;

beforeEach(async () => {
  await database().pool.query('TRUNCATE ban, node, node_trust, trust_event');
});

/** What SPIRE is to the reconciler: a set that forgets and fails. */
function fakeTarget() {
  const banned = new Set<string>();
  const calls: string[] = [];
  const target: BanTarget & { failures: number; unknown: boolean; beforeEffect: () => Promise<void> } = {
    failures: 0,
    unknown: false,
    beforeEffect: async () => {},
    async ban({ nodeId }) {
      await act(`ban ${nodeId}`, () => !target.unknown && banned.add(nodeId));
      return target.unknown ? 'it has not attested' : undefined;
    },
    unban: ({ nodeId }) => act(`unban ${nodeId}`, () => banned.delete(nodeId)),
  };
  async function act(call: string, effect: () => void): Promise<void> {
    calls.push(call);
    if (target.failures > 0) {
      target.failures -= 1;
      throw new Error('the server is away\n');
    }
    const { beforeEffect } = target;
    target.beforeEffect = async () => {};
    await beforeEffect();
    effect();
  }
  return { target, banned, calls };
}

function reconciler(target: BanTarget | undefined, confirmAfterMs = 3_600_000) {
  let time = Date.now();
  const made = banReconciler({
    store: banStore(database()),
    target,
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
const rows = () => listBans(database().db);

test('without a target bans are wanted, and wait', async () => {
  const id = await bannedNode();
  await reconciler(undefined).round();
  expect(await rows()).toMatchObject([{ nodeId: id, wanted: true, appliedAt: null, attempts: 0 }]);
});

test('a node that failed without a ban, and one that passes, are not banned', async () => {
  const failed = await addNode(database());
  await pass(database(), failed.id);
  await endTrust(database(), failed.id, 'failed');
  await pass(database(), (await addNode(database())).id);
  await addNode(database());
  await reconciler(undefined).round();
  expect(await rows()).toEqual([]);
});

test('a retired node is banned, whether it ever had a verdict or not', async () => {
  const { id } = await addNode(database(), { admission: 'retired', retired_at: new Date() });
  const { target, banned } = fakeTarget();
  await reconciler(target).round();
  expect([...banned]).toEqual([id]);
});

test('a ban is applied once and noted', async () => {
  const id = await bannedNode();
  const { target, calls } = fakeTarget();
  const { round } = reconciler(target);
  await round();
  await round();
  expect(calls).toEqual([`ban ${id}`]);
  expect(await rows()).toMatchObject([{ wanted: true, appliedAt: expect.any(String), lastError: null }]);
});

test('an un-ban is applied, and the row says so', async () => {
  const id = await bannedNode();
  const { target, banned } = fakeTarget();
  const { round } = reconciler(target);
  await round();
  await unban(id);
  await round();
  expect(banned.size).toBe(0);
  expect(await rows()).toMatchObject([{ wanted: false, appliedAt: expect.any(String) }]);
});

test('a target that fails is asked again, later and later, until it is so', async () => {
  const id = await bannedNode();
  const { target, banned, calls } = fakeTarget();
  target.failures = 3;
  const { round, advance } = reconciler(target);
  expect((await round())?.getTime()).toBeGreaterThan(Date.now());
  await round();
  expect(calls, 'not before its time').toHaveLength(1);
  expect(await rows()).toMatchObject([
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
  expect(await rows()).toMatchObject([{ attempts: 0, lastError: null, appliedAt: expect.any(String) }]);
});

test('one node that fails does not hold up another', async () => {
  const [first, second] = [await bannedNode(), await bannedNode()];
  const { target, banned } = fakeTarget();
  const picky: BanTarget = {
    ...target,
    ban: (ban) => (ban.nodeId === first ? Promise.reject(new Error('no such agent')) : target.ban(ban)),
  };
  await reconciler(picky).round();
  expect([...banned]).toEqual([second]);
});

test('ban.kept: a target that forgot is told again', async () => {
  const id = await bannedNode();
  const { target, banned } = fakeTarget();
  const { round } = reconciler(target, 0);
  await round();
  banned.clear();
  await round();
  expect([...banned]).toEqual([id]);
});

test('ban.kept: what cannot be banned yet is tried again every two seconds, and is no error', async () => {
  const id = await bannedNode();
  const { target, banned, calls } = fakeTarget();
  target.unknown = true;
  const { round, advance } = reconciler(target);
  await round();
  await round();
  expect(calls).toHaveLength(1);
  expect(await rows()).toMatchObject([{ attempts: 0, appliedAt: null, lastError: 'it has not attested' }]);
  target.unknown = false;
  advance(2000);
  await round();
  expect([...banned]).toEqual([id]);
  expect(await rows()).toMatchObject([{ lastError: null, appliedAt: expect.any(String) }]);
});

test('ban.kept: a ban survives a restart of the issuer', async () => {
  const id = await bannedNode();
  const { target, banned } = fakeTarget();
  target.failures = 1;
  await reconciler(target).round();
  await reconciler(target).round();
  expect([...banned]).toEqual([id]);
});

test('a change of mind while the target was called is applied afterwards', async () => {
  const id = await bannedNode();
  const { target, banned } = fakeTarget();
  const first = reconciler(target);
  const second = reconciler(target);
  target.beforeEffect = async () => {
    await unban(id);
    await second.round();
  };
  await first.round();
  expect([...banned], 'the late ban won the race').toEqual([id]);
  expect(await rows()).toMatchObject([{ wanted: false, appliedAt: null }]);
  await first.round();
  expect(banned.size).toBe(0);
  expect(await rows()).toMatchObject([{ wanted: false, appliedAt: expect.any(String) }]);
});

test('ban.kept: a late un-ban does not undo a newer ban', async () => {
  const id = await bannedNode();
  const { target, banned } = fakeTarget();
  const first = reconciler(target);
  const second = reconciler(target);
  await first.round();
  await unban(id);
  target.beforeEffect = async () => {
    await endTrust(database(), id, 'banned');
    await second.round();
  };
  await first.round();
  await first.round();
  expect([...banned]).toEqual([id]);
});
