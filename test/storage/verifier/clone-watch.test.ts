import { afterEach, beforeEach, expect, test } from 'vitest';
import { recordClone } from '../../../issuer/store/clones.ts';
import { banClones } from '../../../verifier/clone-watch.ts';
import { unbanNode } from '../../../verifier/store/bans.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab } from './lab.ts';

const database = useDatabase();
let lab: Lab;

beforeEach(async () => {
  await emptyTables(database());
  await database().pool.query('TRUNCATE spire_clone');
  lab = new Lab(database());
});
afterEach(() => lab.close());

const said = (nodeId: string, endsTrust = true) =>
  recordClone(database(), { nodeId, place: 'east', message: 'used in two places', endsTrust });

async function trusted(): Promise<string> {
  await lab.policy();
  const { id } = await lab.node();
  return id;
}

test('id.clone: what an issuer saw in SPIRE ends trust at once, and the agent is told', async () => {
  await lab.policy();
  const { id, agent } = await lab.node();
  await lab.verifier();
  expect((await lab.attest(id))?.outcome).toBe('pass');
  await said(id);
  await until('the ban', async () => (await lab.trust(id)).standing === 'banned');
  await until('the notice', () => agent.notices.length === 1);
  expect(JSON.parse(JSON.parse(agent.notices[0] ?? '').msg).reasons).toEqual([
    { rule: 'id.clone', message: 'used in two places' },
  ]);
});

test('what was seen while no verifier ran is followed by the next one', async () => {
  const id = await trusted();
  const first = await lab.verifier();
  await lab.attest(id);
  await first.close();
  await said(id);
  await lab.verifier();
  await until('the ban', async () => (await lab.trust(id)).standing === 'banned');
});

test('what is only to be reported ends nothing', async () => {
  const id = await trusted();
  await lab.verifier();
  await lab.attest(id);
  await said(id, false);
  await banClones(database(), () => {
    throw new Error('nothing is banned');
  });
  expect((await lab.trust(id)).standing).toBe('passing');
});

test('a ban that a person lifted stays lifted, until it is seen again', async () => {
  const id = await trusted();
  await lab.verifier();
  await lab.attest(id);
  await said(id);
  await until('the ban', async () => (await lab.trust(id)).standing === 'banned');
  await database().transaction((tx) =>
    unbanNode(tx, { nodeId: id, reason: 'key replaced', actor: 'admin:ann' }),
  );
  const banned: string[] = [];
  await banClones(database(), (nodeId) => banned.push(nodeId));
  expect(banned).toEqual([]);
  await said(id);
  await until('the ban', async () => (await lab.trust(id)).standing === 'banned');
});

test('an agent of a node that is not ours is nobody', async () => {
  await said('00000000-0000-8000-8000-000000000000');
  expect((await database().pool.query('SELECT * FROM spire_clone')).rows).toEqual([]);
});

test('what several issuers find is said once, and again when it goes on, counts for more, or trust changed since', async () => {
  const id = await trusted();
  const verifier = await lab.verifier();
  await lab.attest(id);
  await verifier.close();
  const said = (endsTrust: boolean) =>
    recordClone(database(), { nodeId: id, place: 'east', message: 'used in two places', endsTrust });
  const times = async () => {
    const { rows } = await database().pool.query(
      "SELECT count(*)::int AS count FROM audit_log WHERE act = 'node.clone-suspected' AND subject = $1",
      [id],
    );
    return rows[0].count;
  };
  await Promise.all([said(false), said(false), said(false)]);
  expect(await times()).toBe(1);
  await database().pool.query("UPDATE spire_clone SET seen_at = seen_at - interval '4 minutes'");
  await said(false);
  expect(await times()).toBe(2);
  await said(true);
  expect(await times()).toBe(3);
  await database().pool.query('UPDATE node_trust SET changed_at = clock_timestamp() WHERE node_id = $1', [
    id,
  ]);
  await said(true);
  expect(await times()).toBe(4);
});
