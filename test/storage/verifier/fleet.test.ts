import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { shardOf } from '../../../core/identity.ts';
import { openDatabase } from '../../../platform/database/index.ts';
import { shardLeases } from '../../../platform/leases.ts';
import type { Failure } from '../../../verifier/polling/judgement.ts';
import { banNode } from '../../../verifier/store/bans.ts';
import { recordFail } from '../../../verifier/store/fails.ts';
import { type ResultRow, writeResults } from '../../../verifier/store/results.ts';
import { CLOCK, FAILURE, RECORD } from '../../unit/verifier/polling/samples.ts';
import { silent, useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { DatabaseProxy } from './database-proxy.ts';
import { emptyTables, Lab, type TestNode } from './lab.ts';

const database = useDatabase();
let lab: Lab;

beforeEach(async () => {
  await emptyTables(database());
  lab = new Lab(database());
});
afterEach(() => lab.close());

describe('several verifiers', () => {
  test('share the nodes, and each node is asked by one of them', async () => {
    await lab.policy({ interval: '1s', trustFor: '10s' });
    const nodes = await Promise.all(Array.from({ length: 12 }, () => lab.node()));
    const first = await lab.verifier({ lease: '1s' });
    const second = await lab.verifier({ lease: '1s' });
    await until('both hold a share', () => first.stats.shards === 32 && second.stats.shards === 32);
    await until('all nodes are held once', () => first.stats.nodes + second.stats.nodes === nodes.length);
    const before = nodes.map(({ agent }) => agent.quotes);
    await sleep(2500);
    for (const [index, { agent }] of nodes.entries()) {
      const asked = agent.quotes - (before[index] ?? 0);
      expect(asked).toBeGreaterThanOrEqual(1);
      expect(asked).toBeLessThanOrEqual(3);
    }
    for (const { id } of nodes) expect(await lab.trust(id)).toMatchObject({ state: 'trusted' });
  });

  test('one takes over when the other ends, at once', async () => {
    await lab.policy();
    const { id } = await lab.node();
    const first = await lab.verifier({ lease: '1s' });
    await lab.attest(id);
    const second = await lab.verifier({ lease: '1s' });
    await first.close();
    await until('the other holds all', () => second.stats.shards === 64);
    expect((await lab.attest(id))?.outcome).toBe('pass');
    expect(await lab.events(id)).toEqual(['trusted']);
  });

  test('trust.expires: one that lost its database does not poll on, another takes over when its lease ends', async () => {
    await lab.policy({ interval: '1s', trustFor: '5s' });
    const { id, agent } = await lab.node();
    const proxy = new DatabaseProxy(database().connection);
    await proxy.join();
    const own = openDatabase({ connection: proxy.connection, logger: silent });
    try {
      const cutOff = await lab.verifier({ lease: '1s' }, { database: own });
      await until('a pass', () => lab.isTrusted(id));
      await proxy.cut();
      await sleep(1500);
      const asked = agent.quotes;
      await sleep(1500);
      expect(agent.quotes).toBe(asked);
      const heir = await lab.verifier({ lease: '1s' });
      await until('the heir holds all', () => heir.stats.shards === 64);
      await until('it is asked again', () => agent.quotes > asked);
      await proxy.join();
      await until('the first one has a share again', () => cutOff.stats.shards > 0 && heir.stats.shards < 64);
      expect(await lab.trust(id)).toMatchObject({ epoch: 0, state: 'trusted' });
    } finally {
      await lab.close();
      await proxy.cut();
      await own.close();
    }
  });

  test('trust.expires: while the database is away nothing is trusted longer, and it goes on by itself', async () => {
    await lab.policy({ interval: '1s', trustFor: '2s' });
    const { id } = await lab.node();
    const proxy = new DatabaseProxy(database().connection);
    await proxy.join();
    const own = openDatabase({ connection: proxy.connection, logger: silent });
    try {
      await lab.verifier({ lease: '1s' }, { database: own });
      await until('a pass', () => lab.isTrusted(id));
      await proxy.cut();
      await until('stale', async () => (await lab.trust(id)).state === 'stale');
      await proxy.join();
      await until('trusted again', () => lab.isTrusted(id));
      expect(await lab.events(id)).toEqual(['trusted', 'trusted']);
    } finally {
      await lab.close();
      await proxy.cut();
      await own.close();
    }
  });
});

describe('a batch of results', () => {
  const owner = randomUUID();

  async function held({ id }: TestNode): Promise<ResultRow> {
    const leases = await shardLeases(database(), owner, 64, 60_000).tend();
    const shard = shardOf(id);
    const fence = leases.find((lease) => lease.shard === shard)?.fence ?? -1;
    return {
      ...{
        id,
        version: 1,
        epoch: 0,
        shard,
        fence,
        outcome: 'pass',
        reasons: [],
        policy: 'test',
        policy_version: 1,
      },
      ...{
        elapsed_ms: 10,
        trust_ms: 60_000,
        clock: '5',
        resets: 1,
        restarts: 0,
        ima: null,
        history: true,
        evidence: null,
      },
    };
  }

  const write = (rows: readonly ResultRow[], by = owner) =>
    writeResults(database(), by, () => ({ rows, events: [] }));

  test('is written for the holder of the fence', async () => {
    const node = await lab.node();
    expect(await write([await held(node)])).toEqual(new Set([node.id]));
    expect(await lab.trust(node.id)).toMatchObject({ state: 'trusted' });
  });

  test('counts trust from the nonce, not from the write', async () => {
    const node = await lab.node();
    await write([{ ...(await held(node)), elapsed_ms: 61_000 }]);
    expect(await lab.trust(node.id)).toMatchObject({ state: 'stale' });
  });

  const late: readonly [name: string, change: (row: ResultRow) => Partial<ResultRow>][] = [
    ['an earlier fence', ({ fence }) => ({ fence: fence - 1 })],
    ['another version of the record', () => ({ version: 2 })],
  ];
  for (const [name, change] of late) {
    test(`of ${name} is discarded`, async () => {
      const node = await lab.node();
      const row = await held(node);
      expect(await write([{ ...row, ...change(row) }])).toEqual(new Set());
      await expect(lab.trust(node.id)).rejects.toThrow(/no trust row/);
    });
  }

  test('of another owner, or after the lease ended, is discarded', async () => {
    const node = await lab.node();
    const row = await held(node);
    expect(await write([row], randomUUID())).toEqual(new Set());
    await database().pool.query("UPDATE poll_shard SET lease_until = now() - interval '1 second'");
    expect(await write([row])).toEqual(new Set());
  });

  test('of a node that is not admitted any more is discarded', async () => {
    const node = await lab.node();
    const row = await held(node);
    await database().pool.query("UPDATE node SET admission = 'retired'");
    expect(await write([row])).toEqual(new Set());
  });

  test('issue.fresh: does not bring back a node that failed or was banned meanwhile', async () => {
    const [failed, banned, good] = [await lab.node(), await lab.node(), await lab.node()];
    const rows = [await held(failed), await held(banned), await held(good)];
    await write(rows);
    await database().pool.query(
      "UPDATE node_trust SET standing = 'failed', epoch = 1, trusted_until = NULL WHERE node_id = $1",
      [failed.id],
    );
    await database().transaction((tx) => banNode(tx, { nodeId: banned.id, reason: 'x', actor: 'admin:ann' }));
    expect(await write(rows)).toEqual(new Set([good.id]));
    expect(await write(rows.map((row) => ({ ...row, epoch: 1 })))).toEqual(new Set([failed.id]));
    expect(await lab.trust(banned.id)).toMatchObject({ standing: 'banned' });
  });

  test('issue.fresh: a pass that waits for the lock of a fail sees the fail', async () => {
    const node = await lab.node();
    const row = await held(node);
    await write([row]);
    let pass: Promise<ReadonlySet<string>> | undefined;
    await database().transaction(async (tx) => {
      await banNode(tx, { nodeId: node.id, reason: 'x', actor: 'admin:ann' });
      pass = write([row]);
      await sleep(200);
    });
    expect(await pass).toEqual(new Set());
    expect(await lab.trust(node.id)).toMatchObject({ epoch: 1, standing: 'banned' });
  });

  test('a shard cannot change hands while a batch is being written', async () => {
    const node = await lab.node();
    const row = await held(node);
    await write([row]);
    const { pool } = database();
    let taken = false;
    let take: Promise<void> | undefined;
    await database().transaction(async (tx) => {
      // The batch waits for this row, with the shard locked.
      await tx.execute(sql`SELECT 1 FROM node_trust WHERE node_id = ${node.id} FOR UPDATE`);
      const written = write([row]);
      await until('the batch waits', async () => (await waiting()) === 1);
      take = pool.query('UPDATE poll_shard SET fence = fence + 1').then(() => {
        taken = true;
      });
      await until('the other one waits', async () => (await waiting()) === 2);
      expect(taken).toBe(false);
      void written;
    });
    await take;
    expect(taken).toBe(true);
  });

  async function waiting(): Promise<number> {
    const { rows } = await database().pool.query<{ count: number }>(
      `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    return rows[0]?.count ?? 0;
  }
});

describe('a fail', () => {
  async function scene() {
    const node = await lab.node();
    const leases = shardLeases(database(), randomUUID(), 64, 60_000);
    const shard = shardOf(node.id);
    const lease = (await leases.tend()).find((one) => one.shard === shard) ?? { shard, fence: -1 };
    const record = { ...RECORD, id: node.id, version: 1, shard };
    const failure: Failure = { ...FAILURE, record, epoch: 0, clock: CLOCK };
    const fail = (changes: Partial<Failure> = {}, by = lease) =>
      recordFail(database(), leases, by, { ...failure, ...changes }, () => 10);
    return { ...node, fail, lease, record, leases };
  }

  test('ends trust, once for each epoch', async () => {
    const { id, fail } = await scene();
    expect(await fail()).toEqual({ epoch: 1, standing: 'failed', event: 'failed' });
    expect(await fail()).toBeUndefined();
    expect(await fail({ epoch: 1 })).toEqual({ epoch: 1, standing: 'failed' });
    expect(await fail({ epoch: 1, effect: 'ban' })).toEqual({
      epoch: 2,
      standing: 'banned',
      event: 'banned',
    });
    expect(await lab.events(id)).toEqual(['failed', 'banned']);
    const { rows } = await database().pool.query(
      'SELECT act FROM audit_log WHERE subject = $1 ORDER BY seq',
      [id],
    );
    expect(rows.map(({ act }) => act)).toEqual(['trust.failed', 'trust.banned']);
    expect(await lab.verdicts(id)).toHaveLength(3);
  });

  test('of another version, another fence or a node that is not admitted is void', async () => {
    const { id, fail, lease, record } = await scene();
    expect(await fail({ record: { ...record, version: 2 } })).toBeUndefined();
    expect(await fail({}, { ...lease, fence: lease.fence - 1 })).toBeUndefined();
    await database().pool.query("UPDATE node SET admission = 'retired' WHERE id = $1", [id]);
    expect(await fail()).toBeUndefined();
    expect(await lab.events(id)).toEqual([]);
    expect(await lab.verdicts(id)).toEqual([]);
  });

  test('issue.fresh: passes and fails of one node at once leave it failed, whatever their order', async () => {
    const { id, fail, lease, record } = await scene();
    const { rows } = await database().pool.query<{ owner: string }>('SELECT owner FROM poll_shard LIMIT 1');
    const row: ResultRow = {
      ...{
        id,
        version: record.version,
        epoch: 0,
        shard: lease.shard,
        fence: lease.fence,
        outcome: 'pass' as const,
      },
      ...{
        reasons: [],
        policy: 'test',
        policy_version: 1,
        elapsed_ms: 1,
        trust_ms: 60_000,
        clock: '5',
        resets: 1,
      },
      ...{ restarts: 0, ima: null, history: false, evidence: null },
    };
    const pass = () => writeResults(database(), rows[0]?.owner ?? '', () => ({ rows: [row], events: [] }));
    await Promise.all([pass(), pass(), fail(), pass(), fail(), pass()]);
    await pass();
    expect(await lab.trust(id)).toMatchObject({ epoch: 1, state: 'failed' });
    expect(await lab.events(id)).toEqual(['failed']);
  });
});
