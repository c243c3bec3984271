import { afterEach, beforeEach, expect, test } from 'vitest';
import type { JobQueue } from '../../../platform/queue/index.ts';
import { banNode, unbanNode } from '../../../verifier/store/bans.ts';
import { findUntold, markTold } from '../../../verifier/store/ended-trust.ts';
import { fakeJobQueue } from '../../fakes/job-queue.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab, type TestNode } from './lab.ts';

// Trust ends in one transaction, and the agent hears of it in another act: what if nobody comes to that?

const database = useDatabase();
let lab: Lab;
beforeEach(async () => {
  await emptyTables(database());
  await database().pool.query('TRUNCATE certificate');
  lab = new Lab(database());
});
afterEach(() => lab.close());

/** What a process leaves that dies between the commit and the queue. */
const lost: JobQueue = {
  enqueue: () => Promise.reject(new Error('gone')),
  work: async () => {},
  close: async () => {},
};

async function failUnheard(): Promise<TestNode> {
  await lab.policy();
  const node = await lab.node();
  const dying = await lab.verifier({}, { queue: lost });
  await lab.attest(node.id);
  await lab.policy({ reaction: 'stop', values: { 1: 'ff'.repeat(32) } });
  await until('the fail', async () => (await lab.trust(node.id)).standing === 'failed');
  await dying.close();
  return node;
}

const ban = (nodeId: string) =>
  database().transaction((tx) => banNode(tx, { nodeId, reason: 'stolen', actor: 'admin:ann' }));

function endedAgo(nodeId: string, interval: string) {
  return database().pool.query('UPDATE trust_event SET at = now() - $2::interval WHERE node_id = $1', [
    nodeId,
    interval,
  ]);
}

function certificate(nodeId: string, epoch: number, left: string) {
  return database().pool.query(
    `INSERT INTO certificate (serial, node_id, node_version, epoch, group_name, authority_sha256, key_mode,
       subject_spki_sha256, not_before, not_after)
     VALUES ('\\x01', $1, 1, $2, 'web', '\\x05', 'tpm', '\\x06', now() - interval '1 day', now() + $3::interval)`,
    [nodeId, epoch, left],
  );
}

test('revoke.destroy: a fail that was committed and never queued is told by the next verifier, once', async () => {
  const node = await failUnheard();
  expect(node.agent.notices).toEqual([]);
  await lab.verifier();
  await until('the notice', () => node.agent.notices.length > 0);
  const notice = JSON.parse(JSON.parse(node.agent.notices[0] ?? '').msg);
  expect(notice).toMatchObject({ type: 'revocation', node_id: node.id });
  expect(notice.reasons[0]).toMatchObject({ rule: 'pcr.value' });
  await until('the record of it', async () => (await findUntold(database())).length === 0);
  expect(node.agent.notices).toHaveLength(1);
});

test('revoke.destroy: it is told by a verifier that does not hold the node', async () => {
  const node = await failUnheard();
  // Another process has every shard, and never gives one up.
  await database().pool.query(
    `UPDATE poll_shard SET owner = gen_random_uuid(), lease_until = now() + interval '1 hour'`,
  );
  const idle = await lab.verifier();
  expect(idle.stats.shards).toBe(0);
  await until('the notice', () => node.agent.notices.length > 0);
});

test('a notice that an agent took is recorded', async () => {
  await lab.policy({ reaction: 'stop', values: { 1: 'ff'.repeat(32) } });
  const { id, agent } = await lab.node();
  await lab.verifier();
  await until('the notice', () => agent.notices.length > 0);
  await until('the record of it', async () => (await findUntold(database())).length === 0);
  const { rows } = await database().pool.query(
    'SELECT epoch, told_epoch FROM node_trust WHERE node_id = $1',
    [id],
  );
  expect(rows).toEqual([{ epoch: 1, told_epoch: 1 }]);
});

test('an agent that refuses the notice has not taken it', async () => {
  const { id } = await lab.node();
  await ban(id);
  const queue = fakeJobQueue();
  let tries = 0;
  const counting: JobQueue = {
    ...queue,
    work: (name, handler) => queue.work(name, (payload) => handler(payload).finally(() => (tries += 1))),
  };
  const wrong = await lab.agent();
  // Somebody else answers there: the pin does not let the notice through.
  await database().pool.query('UPDATE node SET contact_port = $2 WHERE id = $1', [id, wrong.port]);
  const verifier = await lab.verifier({}, { queue: counting });
  await until('an attempt', () => tries > 0);
  await queue.close();
  await verifier.close();
  expect(wrong.notices).toEqual([]);
  expect(await findUntold(database())).toEqual([{ nodeId: id, epoch: 1 }]);
});

test('a ban by a person is untold until it is recorded; a lifted one needs no telling', async () => {
  const { id } = await lab.node();
  await ban(id);
  expect(await findUntold(database())).toEqual([{ nodeId: id, epoch: 1 }]);
  await markTold(database(), { nodeId: id, epoch: 0 });
  expect(await findUntold(database()), 'an earlier notice is not this one').toHaveLength(1);
  await database().transaction((tx) => unbanNode(tx, { nodeId: id, reason: 'found', actor: 'admin:ann' }));
  expect(await findUntold(database())).toEqual([]);
});

test('trust that ends again is told again', async () => {
  const { id } = await lab.node();
  await ban(id);
  await markTold(database(), { nodeId: id, epoch: 1 });
  expect(await findUntold(database())).toEqual([]);
  await database().transaction((tx) => unbanNode(tx, { nodeId: id, reason: 'found', actor: 'admin:ann' }));
  await ban(id);
  expect(await findUntold(database())).toEqual([{ nodeId: id, epoch: 2 }]);
});

test.each([
  ['a certificate that was revoked by it is valid still', 0, '1 hour', 1],
  ['what it revoked is over', 0, '-1 second', 0],
  ['what is valid was issued after it', 1, '1 hour', 0],
])('of an end long ago the agent is told only while it matters: %s', async (_name, epoch, left, found) => {
  const { id } = await lab.node();
  await ban(id);
  await endedAgo(id, '59 minutes');
  expect(await findUntold(database())).toHaveLength(1);
  await endedAgo(id, '61 minutes');
  expect(await findUntold(database())).toHaveLength(0);
  await certificate(id, epoch, left);
  expect(await findUntold(database())).toHaveLength(found);
});

test('a node without TLS has no agent that could be told', async () => {
  const { id } = await lab.node(undefined, { tls_certificate: null, tls_sha256: null });
  await ban(id);
  expect(await findUntold(database())).toEqual([]);
});
