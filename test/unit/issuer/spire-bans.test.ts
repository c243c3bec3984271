import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type BanPlace, banReconciler, FIRST_LOOK_MS } from '../../../issuer/bans/reconciler.ts';
import { spireBanPlace } from '../../../issuer/spire/ban-place.ts';
import type { SpirePlace } from '../../../issuer/spire/places.ts';
import { createLogger } from '../../../platform/logging.ts';
import { agentPath } from '../../../platform/spire/agent-path.ts';
import { SpireServer } from '../../../platform/spire/server.ts';
import { MemoryBanStore } from '../../fakes/ban-store.ts';
import { FakeSpireServer } from '../../fakes/spire-server.ts';

const TRUST_DOMAIN = 'bans.test';
const CONFIRM_MS = 15_000;
const WAITING_MS = 2000;
const logger = createLogger({ level: 'silent', name: 'test' });
let scratch: string;
let east: FakeSpireServer;
let west: FakeSpireServer;
let time: number;
let store: MemoryBanStore;
let nodeId: string;
let path: string;

beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'bans-'));
  const start = (name: string) =>
    new FakeSpireServer({ socket: join(scratch, name), trustDomain: TRUST_DOMAIN }).start();
  [east, west] = [await start('east'), await start('west')];
  time = Date.now();
  store = new MemoryBanStore(() => new Date(time));
  nodeId = randomUUID();
  path = agentPath(nodeId);
});
afterEach(async () => {
  await Promise.all([east.stop(), west.stop()]);
  await rm(scratch, { recursive: true, force: true });
});

function place(name: string, { socket }: FakeSpireServer, groups?: ReadonlySet<string>): SpirePlace {
  const server = new SpireServer({ name, trustDomain: TRUST_DOMAIN, at: { socket }, timeoutMs: 2000 });
  const lifetimes = { workloadSeconds: 3600, agentSeconds: 3600 };
  return { server, groups, lifetimes, watchMs: 15_000, clones: 'report' };
}

/** The issuer's rounds, at times that the test sets. */
function rounds(...places: SpirePlace[]) {
  const options = { store, clock: () => new Date(time), logger, confirmAfterMs: CONFIRM_MS };
  const reconcilers = places.map((one) => banReconciler({ ...options, place: spireBanPlace(one) }));
  return async (afterMs = 0) => {
    time += afterMs;
    await Promise.all(reconcilers.map(({ round }) => round(new AbortController().signal)));
  };
}

const confirmed = CONFIRM_MS + 1;

test('a node is banned at once, and by its own name alone', async () => {
  const other = agentPath(randomUUID());
  east.attest(path);
  east.attest(other);
  store.want(nodeId, true);
  await rounds(place('east', east))();
  expect(east.isBanned(path)).toBe(true);
  expect(east.isBanned(other)).toBe(false);
  expect(store.row(nodeId, 'east')).toMatchObject({ appliedAt: expect.any(Date), lastError: undefined });
});

test('ban.kept: one that never attested is waited for, every two seconds, and banned when it does', async () => {
  const round = rounds(place('east', east));
  store.want(nodeId, true);
  await round();
  const wait = 'the agent has not attested there: it is banned as soon as it does';
  expect(store.row(nodeId, 'east')).toMatchObject({ appliedAt: undefined, attempts: 0, lastError: wait });
  await round(WAITING_MS - 1);
  expect(east.calls).toHaveLength(1);
  east.attest(path);
  await round(1);
  expect(east.isBanned(path)).toBe(true);
  expect(() => east.attest(path)).toThrow('agent is banned');
  expect(store.row(nodeId, 'east')).toMatchObject({ appliedAt: expect.any(Date), lastError: undefined });
});

test.each([
  ['evicted', () => east.evict(path)],
  ['purged', () => east.purge(-3_600_000)],
  ['in a database that was restored', () => east.restoreWithoutBan(path)],
] as const)(
  'ban.kept: an agent that was %s, and has attested again, is banned again',
  async (_what, lose) => {
    const round = rounds(place('east', east));
    east.attest(path);
    store.want(nodeId, true);
    await round();
    lose();
    east.attest(path);
    expect(east.isBanned(path)).toBe(false);
    await round(confirmed);
    expect(east.isBanned(path)).toBe(true);
  },
);

test('ban.kept: an agent that was evicted and stays away is waited for', async () => {
  const round = rounds(place('east', east));
  east.attest(path);
  store.want(nodeId, true);
  await round();
  east.evict(path);
  await round(confirmed);
  expect(store.row(nodeId, 'east').lastError).toContain('has not attested there');
  east.attest(path);
  await round(WAITING_MS);
  expect(east.isBanned(path)).toBe(true);
});

test('ban.kept: a ban that an attestation overwrote is applied again', async () => {
  const round = rounds(place('east', east));
  east.attest(path);
  const finish = east.attesting(path);
  store.want(nodeId, true);
  await round();
  finish();
  expect(east.isBanned(path)).toBe(false);
  await round(confirmed);
  expect(east.isBanned(path)).toBe(true);
});

test('a ban is looked at soon, then ever more seldom, and told again only when it was lifted', async () => {
  const round = rounds(place('east', east));
  east.attest(path);
  store.want(nodeId, true);
  await round();
  const looks = async (ms: number) => {
    const before = east.calls.length;
    await round(ms);
    return east.calls.slice(before).map((call) => call.split(' ')[0]);
  };
  expect(await looks(FIRST_LOOK_MS)).toEqual([]);
  expect(await looks(1)).toEqual(['GetAgent']);
  for (let held = FIRST_LOOK_MS + 1; held < CONFIRM_MS; held = 2 * held + 1) {
    expect(await looks(held)).toEqual([]);
    expect(await looks(1)).toEqual(['GetAgent']);
  }
  expect(await looks(CONFIRM_MS)).toEqual([]);
  expect(await looks(2)).toEqual(['GetAgent']);
  east.restoreWithoutBan(path);
  expect(await looks(CONFIRM_MS + 1)).toEqual(['GetAgent', 'BanAgent']);
  expect(store.row(nodeId, 'east').appliedAt?.getTime(), 'there was a gap').toBe(time);
  expect(await looks(FIRST_LOOK_MS + 1)).toEqual(['GetAgent']);
});

test('an un-ban forgets the agent, so that it attests again', async () => {
  const round = rounds(place('east', east));
  east.attest(path);
  store.want(nodeId, true);
  await round();
  store.want(nodeId, false);
  await round();
  expect(east.isBanned(path)).toBeUndefined();
  east.attest(path);
  await round(confirmed);
  expect(east.isBanned(path)).toBe(false);
});

test('a server that is away is asked again, later and later, and then bans', async () => {
  const round = rounds(place('east', east));
  east.attest(path);
  await east.stop();
  store.want(nodeId, true);
  await round();
  const { attempts, lastError } = store.row(nodeId, 'east');
  expect(attempts).toBe(1);
  expect(lastError).toMatch(/^SPIRE server east, BanAgent: /);
  await round(999);
  expect(store.row(nodeId, 'east').attempts).toBe(1);
  await east.start();
  await round(1);
  expect(east.isBanned(path)).toBe(true);
  expect(store.row(nodeId, 'east')).toMatchObject({ attempts: 0, lastError: undefined });
});

test('a server that is away holds up no other one', async () => {
  const round = rounds(place('east', east), place('west', west));
  west.attest(path);
  await east.stop();
  store.want(nodeId, true);
  await round();
  expect(west.isBanned(path)).toBe(true);
  expect(store.row(nodeId, 'west')).toMatchObject({ appliedAt: expect.any(Date), lastError: undefined });
  expect(store.row(nodeId, 'east')).toMatchObject({ appliedAt: undefined, attempts: 1 });
  expect(store.row(nodeId, 'east').lastError).toContain('SPIRE server east');

  store.want(nodeId, false);
  await round(confirmed);
  expect(west.isBanned(path)).toBeUndefined();
  expect(store.row(nodeId, 'east').lastError).toContain('SPIRE server east, DeleteAgent');
});

test('a server that is away is not asked for each of many nodes', async () => {
  const round = rounds(place('east', east));
  await east.stop();
  const nodes = Array.from({ length: 40 }, () => randomUUID());
  for (const one of nodes) store.want(one, true);
  const failures = () => nodes.reduce((sum, one) => sum + store.row(one, 'east').attempts, 0);
  await round();
  const first = failures();
  expect(first).toBeLessThan(20);
  await round(999);
  expect(failures()).toBe(first);
  for (const one of nodes) east.attest(agentPath(one));
  await east.start();
  await round(1);
  expect(nodes.filter((one) => east.isBanned(agentPath(one)))).toHaveLength(nodes.length);
});

test('one node that fails does not hold up another, nor those that are due later', async () => {
  const nodes = Array.from({ length: 20 }, () => randomUUID());
  const picky: BanPlace = {
    ...spireBanPlace(place('east', east)),
    ban: (id) => (id === nodes[0] ? Promise.reject(new Error('no such agent')) : Promise.resolve(undefined)),
  };
  for (const one of nodes) store.want(one, true);
  const options = { store, clock: () => new Date(time), logger, confirmAfterMs: CONFIRM_MS };
  await banReconciler({ ...options, place: picky }).round(new AbortController().signal);
  expect(nodes.filter((one) => store.row(one, 'east').appliedAt === undefined)).toEqual([nodes[0]]);
});

test('a server is not asked for nodes of groups that attest elsewhere', async () => {
  const round = rounds(place('east', east, new Set(['web'])), place('west', west, new Set(['db'])));
  for (const server of [east, west]) server.attest(path);
  store.want(nodeId, true, 'db');
  await round();
  expect(west.isBanned(path)).toBe(true);
  expect(east.calls).toEqual([]);
});
