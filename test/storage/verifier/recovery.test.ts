import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { banNode } from '../../../verifier/store/bans.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab, type TestNode } from './lab.ts';

const database = useDatabase();
let lab: Lab;

beforeEach(async () => {
  await emptyTables(database());
  lab = new Lab(database());
});
afterEach(() => lab.close());

const BAD = 'ab'.repeat(32);
const ZERO = '00'.repeat(32);
/** Fast, and with a way back. */
const good = (recovery?: string) =>
  lab.policy({ interval: '1s', values: { 1: ZERO }, ...(recovery ? { recovery } : {}) });
const standing = async ({ id }: TestNode) => (await lab.trust(id)).standing;

/** A node that its policy banned, in a boot of its own that is not good. */
async function bannedNode(recovery?: string): Promise<TestNode> {
  await good(recovery);
  const node = await lab.node();
  await lab.verifier();
  expect((await lab.attest(node.id))?.outcome).toBe('pass');
  node.agent.tpm.extend(1, Buffer.from(BAD, 'hex'));
  await until('the ban', async () => (await standing(node)) === 'banned', 5000);
  return node;
}

test('a node that rebooted into a good state and passes often enough is let back, and has to pass again', async () => {
  const node = await bannedNode('{ reboot: 2 }');
  node.agent.tpm.reset();
  await until('trust', () => lab.isTrusted(node.id), 10_000);
  expect(await lab.events(node.id)).toEqual([...['trusted', 'banned', 'unbanned', 'trusted', 'rebooted']]);
  const { rows } = await database().pool.query(
    "SELECT detail FROM trust_event WHERE node_id = $1 AND kind = 'unbanned'",
    [node.id],
  );
  expect(rows[0].detail).toMatchObject({
    actor: 'policy:test@1',
    reasons: [{ rule: 'recovery.reboot', message: 'passed 2 times in a row after a reboot' }],
  });
  expect((await lab.trust(node.id)).epoch, 'what was issued before stays revoked').toBe(1);
});

test('without a way back a banned node is not even asked', async () => {
  const node = await bannedNode();
  node.agent.tpm.reset();
  const asked = node.agent.quotes;
  await sleep(2500);
  expect([await standing(node), node.agent.quotes]).toEqual(['banned', asked]);
});

test('a node that stays as it is stays banned, and so does one that comes up as it was', async () => {
  const node = await bannedNode('{ reboot: 1 }');
  await sleep(2500);
  expect(await standing(node)).toBe('banned');
  node.agent.tpm.reset();
  node.agent.tpm.extend(1, Buffer.from(BAD, 'hex'));
  const asked = node.agent.quotes;
  await until('it was asked', () => node.agent.quotes > asked + 1, 5000);
  expect(await standing(node)).toBe('banned');
});

test('a policy that is given a way back later lets nodes back that it banned before', async () => {
  const node = await bannedNode();
  node.agent.tpm.reset();
  await good('{ reboot: 1 }');
  await until('trust', () => lab.isTrusted(node.id), 70_000);
}, 80_000);

test('a re-enrolment is an occasion of its own', async () => {
  const node = await bannedNode('{ re-enrolment: 1 }');
  node.agent.tpm.reset();
  await sleep(2500);
  expect(await standing(node), 'a reboot is none').toBe('banned');
  await lab.reEnrol(node.id, node.agent, null);
  await database().pool.query("SELECT pg_notify('assay_node', $1)", [node.id]);
  await until('trust', () => lab.isTrusted(node.id), 10_000);
});

test('what a person bans a person lets back', async () => {
  await good('{ reboot: 1 }');
  const node = await lab.node();
  await lab.verifier();
  await lab.attest(node.id);
  await database().transaction((tx) => banNode(tx, { nodeId: node.id, reason: 'x', actor: 'admin:ann' }));
  node.agent.tpm.reset();
  await sleep(2500);
  expect(await standing(node)).toBe('banned');
});
