import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMetrics, type Metrics } from '../../../platform/metrics.ts';
import { parsePolicy } from '../../../policies/language/parse.ts';
import { addPolicy, assignPolicy } from '../../../verifier/store/policies.ts';
import { tryPolicy } from '../../../verifier/try-policy.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab, type TestNode } from './lab.ts';
import { addFilePolicy, fileScene, storedSet } from './measured-scene.ts';

const database = useDatabase();
const BAD = 'ab'.repeat(32);
const ZERO = '00'.repeat(32);
let lab: Lab;
let metrics: Metrics;

beforeEach(async () => {
  await emptyTables(database());
  await database().pool.query('TRUNCATE digest_set');
  lab = new Lab(database());
  metrics = createMetrics(false);
});
afterEach(() => lab.close());

const verifier = () => lab.verifier({}, { metrics });

/** A node that passed and then fell silent: nothing but what is kept of it can be judged. */
async function silentNode(): Promise<TestNode> {
  await lab.policy();
  const node = await lab.node();
  await verifier();
  expect((await lab.attest(node.id))?.outcome).toBe('pass');
  await node.agent.close();
  return node;
}

async function rejudged(outcome: 'fail' | 'pass' | 'ask'): Promise<number> {
  const { values } = (await metrics.registry.getSingleMetric('assay_verifier_rejudged_total')?.get()) ?? {
    values: [],
  };
  return values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
}

const trustedUntil = async (id: string) =>
  (await database().pool.query('SELECT trusted_until FROM node_trust WHERE node_id = $1', [id])).rows[0]
    ?.trusted_until;

describe('a node that cannot be reached, when its policy changes', () => {
  test('is banned at once by what it showed before, with what that was', async () => {
    const { id } = await silentNode();
    await lab.policy({ values: { 1: BAD } });
    await until('the ban', async () => (await lab.trust(id)).state === 'banned');
    expect(await lab.trust(id)).toMatchObject({ epoch: 1, rules: ['pcr.value', 'evidence.kept'] });
    const { rows } = await database().pool.query(
      `SELECT reasons, policy_version, evidence FROM verdict WHERE node_id = $1 ORDER BY id DESC LIMIT 1`,
      [id],
    );
    expect(rows).toMatchObject([{ policy_version: 2, evidence: { policy: { name: 'test', version: 2 } } }]);
    expect(rows[0].reasons[1].message).toMatch(/^judged by what the node showed at 20.*, without asking/);
    expect(await lab.events(id)).toContain('banned');
  });

  test('is failed where the policy says stop', async () => {
    const { id } = await silentNode();
    await lab.policy({ values: { 1: BAD }, reaction: 'stop' });
    await until('the fail', async () => (await lab.trust(id)).state === 'failed');
  });

  test('trust.expires: that it would pass gives it no trust', async () => {
    const { id } = await silentNode();
    const before = await trustedUntil(id);
    await lab.policy({ values: { 1: ZERO }, trustFor: '1h' });
    await until('it is judged', async () => (await rejudged('pass')) > 0);
    expect(await trustedUntil(id)).toEqual(before);
    expect(await lab.trust(id)).toMatchObject({ state: 'trusted', epoch: 0 });
  });

  test('is left to its next quote where it was not asked for what the policy judges', async () => {
    const { id } = await silentNode();
    await assign(documentOf(`0-3, values: { 1: { any-of: ['${BAD}'] } }`));
    await until('it is judged', async () => (await rejudged('ask')) > 0);
    expect(await lab.trust(id)).toMatchObject({ state: 'trusted', epoch: 0 });
  });

  test('is left alone by a policy that only reports', async () => {
    const { id } = await silentNode();
    await lab.policy({ values: { 1: BAD }, reaction: 'report' });
    await lab.policy({ values: { 1: BAD }, reaction: 'stop' });
    await until('the fail', async () => (await lab.trust(id)).state === 'failed');
    const { rows } = await database().pool.query(
      `SELECT policy_version FROM verdict WHERE node_id = $1 AND outcome = 'fail'`,
      [id],
    );
    expect(rows).toEqual([{ policy_version: 3 }]);
  });

  test('of which nothing of this boot is kept is left to its next quote', async () => {
    const { id } = await silentNode();
    await lab.close();
    await database().pool.query(
      `UPDATE node_trust SET tpm_reset_count = tpm_reset_count + 1 WHERE node_id = $1`,
      [id],
    );
    await lab.policy({ values: { 1: BAD } });
    await verifier();
    await until('it is judged', async () => (await rejudged('ask')) > 0);
    expect(await lab.trust(id)).toMatchObject({ state: 'trusted', epoch: 0 });
  });

  test('whose trust has run out is not judged: there is nothing to end', async () => {
    const { id } = await silentNode();
    await database().pool.query(
      `UPDATE node_trust SET trusted_until = now() - interval '1 second' WHERE node_id = $1`,
      [id],
    );
    await lab.close();
    await lab.policy({ values: { 1: BAD } });
    const other = await lab.node();
    await verifier();
    const standing = `SELECT standing FROM node_trust WHERE node_id = $1 AND standing = 'banned'`;
    const isBanned = async () => (await database().pool.query(standing, [other.id])).rowCount === 1;
    await until('the other is judged', isBanned);
    expect(await rejudged('fail')).toBe(0);
    expect(await lab.trust(id)).toMatchObject({ state: 'stale', epoch: 0 });
  });
});

test('nodes whose policy changed while no verifier ran are found at the start', async () => {
  const { id } = await silentNode();
  await lab.close();
  await lab.policy({ values: { 1: BAD } });
  await verifier();
  await until('the ban', async () => (await lab.trust(id)).state === 'banned');
  expect((await lab.trust(id)).rules).toContain('evidence.kept');
});

test('a fleet is judged without asking it, node by node', async () => {
  await lab.policy();
  const nodes = await Promise.all(Array.from({ length: 12 }, () => lab.node()));
  await verifier();
  for (const { id } of nodes) expect((await lab.attest(id))?.outcome).toBe('pass');
  for (const { agent } of nodes) await agent.close();
  await lab.policy({ values: { 1: BAD } });
  const states = () => Promise.all(nodes.map(async ({ id }) => (await lab.trust(id)).state));
  await until('all are banned', async () => (await states()).every((state) => state === 'banned'));
  expect(await rejudged('fail')).toBe(12);
});

describe('files', () => {
  test('ima.digest: what is not allowed any more fails it by the list that is kept', async () => {
    const { agent, id } = await fileScene(lab);
    expect((await lab.attest(id))?.outcome).toBe('pass');
    await agent.close();
    const set = await storedSet(lab.database, { '/usr/bin/ls': 'other', '/usr/bin/date': 'date' });
    await addFilePolicy(lab.database, set);
    await until('the ban', async () => (await lab.trust(id)).state === 'banned');
    expect((await lab.trust(id)).rules).toEqual(['ima.digest', 'evidence.kept']);
  });

  test('of which only the last part is kept are left to the next quote', async () => {
    const { agent, files, id, verifier: running } = await fileScene(lab);
    await lab.attest(id);
    files.use('/usr/bin/date', 'date');
    expect((await lab.attest(id))?.outcome).toBe('pass');
    await running.close();
    await agent.close();
    const set = await storedSet(lab.database, { '/usr/bin/ls': 'other', '/usr/bin/date': 'date' });
    await addFilePolicy(lab.database, set);
    await verifier();
    await until('it is judged', async () => (await rejudged('ask')) > 0);
    expect(await lab.trust(id)).toMatchObject({ state: 'trusted', epoch: 0 });
  });
});

describe('a policy that is tried', () => {
  const tried = (values: string, group?: string) =>
    tryPolicy(database(), parsePolicy(documentOf(values)), group, () => performance.now());

  test('says which nodes would fail and why, and changes nothing', async () => {
    const { id } = await silentNode();
    const trial = await tried(`0-2, values: { 1: { any-of: ['${BAD}'] } }`);
    expect(trial).toMatchObject({ passing: 0, failing: 1, asking: 0, unjudged: 0 });
    expect(trial.nodes).toMatchObject([
      { nodeId: id, outcome: 'fail', reasons: [{ rule: 'pcr.value', pcr: 1 }] },
    ]);
    expect(await lab.trust(id)).toMatchObject({ state: 'trusted', epoch: 0 });
    expect(await tried(`0-2, values: { 1: { any-of: ['${ZERO}'] } }`)).toMatchObject({
      passing: 1,
      nodes: [],
    });
    expect(await tried('0-3')).toMatchObject({ asking: 1, nodes: [{ outcome: 'ask' }] });
  });

  test('is tried on the nodes that it is for, or on those of a group', async () => {
    await silentNode();
    const other = documentOf('0-2').replace('name: test', 'name: other');
    const on = (group?: string) => tryPolicy(database(), parsePolicy(other), group, () => performance.now());
    expect(await on()).toMatchObject({ passing: 0 });
    expect(await on('web')).toMatchObject({ passing: 1 });
    expect(await on('db')).toMatchObject({ passing: 0 });
  });

  test('has an end, however many nodes there are', async () => {
    await silentNode();
    let clock = 0;
    const late = () => {
      clock += 30_000;
      return clock;
    };
    const trial = await tryPolicy(database(), parsePolicy(documentOf('0-2')), undefined, late);
    expect(trial).toMatchObject({ passing: 0, unjudged: 1 });
  });
});

function documentOf(pcrs: string): string {
  return `assay: policy/v1
name: test
freshness: { interval: 20s, trust-for: 1m }
reaction: ban
pcrs: { bank: sha256, require: ${pcrs} }
`;
}

async function assign(document: string): Promise<void> {
  await database().transaction(async (tx) => {
    await addPolicy(tx, { name: 'test', document }, 'test');
    await assignPolicy(tx, { subject: 'default', policy: 'test' }, 'test');
  });
}
