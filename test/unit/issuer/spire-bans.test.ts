import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { banReconciler } from '../../../issuer/bans/reconciler.ts';
import { spireBanTarget } from '../../../issuer/spire/ban-target.ts';
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
  return { server, groups };
}

/** The issuer's rounds, at times that the test sets. */
function rounds(...places: SpirePlace[]) {
  const target = spireBanTarget(places);
  const options = { store, target, clock: () => new Date(time), logger, confirmAfterMs: CONFIRM_MS };
  const reconciler = banReconciler(options);
  return async (afterMs = 0) => {
    time += afterMs;
    await reconciler.round(new AbortController().signal);
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
  expect(store.row(nodeId)).toMatchObject({ appliedAt: expect.any(Date), lastError: undefined });
});

test('ban.kept: one that never attested is waited for, every two seconds, and banned when it does', async () => {
  const round = rounds(place('east', east));
  store.want(nodeId, true);
  await round();
  const wait = 'the agent has not attested at east: it is banned as soon as it does';
  expect(store.row(nodeId)).toMatchObject({ appliedAt: undefined, attempts: 0, lastError: wait });
  await round(WAITING_MS - 1);
  expect(east.calls).toHaveLength(1);
  east.attest(path);
  await round(1);
  expect(east.isBanned(path)).toBe(true);
  expect(() => east.attest(path)).toThrow('agent is banned');
  expect(store.row(nodeId)).toMatchObject({ appliedAt: expect.any(Date), lastError: undefined });
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
  expect(store.row(nodeId).lastError).toContain('has not attested at east');
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

test('a ban that is in force is confirmed, and not before its time', async () => {
  const round = rounds(place('east', east));
  east.attest(path);
  store.want(nodeId, true);
  await round();
  await round(CONFIRM_MS - 1);
  expect(east.calls).toHaveLength(1);
  await round(2);
  expect(east.calls).toHaveLength(2);
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
  const { attempts, lastError } = store.row(nodeId);
  expect(attempts).toBe(1);
  expect(lastError).toMatch(/^SPIRE server east, BanAgent: /);
  await round(999);
  expect(store.row(nodeId).attempts).toBe(1);
  await east.start();
  await round(1);
  expect(east.isBanned(path)).toBe(true);
  expect(store.row(nodeId)).toMatchObject({ attempts: 0, lastError: undefined });
});

test('a server that is away holds up no other one', async () => {
  const round = rounds(place('east', east), place('west', west));
  west.attest(path);
  await east.stop();
  store.want(nodeId, true);
  await round();
  expect(west.isBanned(path)).toBe(true);
  expect(store.row(nodeId)).toMatchObject({ appliedAt: undefined, attempts: 1 });
  expect(store.row(nodeId).lastError).toContain('SPIRE server east');

  store.want(nodeId, false);
  await round(confirmed);
  expect(west.isBanned(path)).toBeUndefined();
  expect(store.row(nodeId).lastError).toContain('SPIRE server east, DeleteAgent');
});

test('a ban is in force when it is at all servers where the node may attest', async () => {
  const round = rounds(place('east', east), place('west', west));
  east.attest(path);
  store.want(nodeId, true);
  await round();
  expect(east.isBanned(path)).toBe(true);
  expect(store.row(nodeId).lastError).toBe(
    'the agent has not attested at west: it is banned as soon as it does',
  );
  west.attest(path);
  await round(WAITING_MS);
  expect(west.isBanned(path)).toBe(true);
  expect(store.row(nodeId).appliedAt).toBeDefined();
});

test('a server is not asked for nodes of groups that attest elsewhere', async () => {
  const round = rounds(place('east', east, new Set(['web'])), place('west', west, new Set(['db'])));
  for (const server of [east, west]) server.attest(path);
  store.want(nodeId, true, 'db');
  await round();
  expect(west.isBanned(path)).toBe(true);
  expect(east.calls).toEqual([]);
});
