import { afterEach, beforeEach, expect, test } from 'vitest';
import { SoftwareTpm } from '../../../tpm-sim/fleet/software-tpm.ts';
import { useDatabase } from '../support/database.ts';
import { contactOf, emptyTables, Lab } from './lab.ts';

const database = useDatabase();
let lab: Lab;

beforeEach(async () => {
  await emptyTables(database());
  lab = new Lab(database());
  await lab.policy({ reaction: 'report' });
});
afterEach(() => lab.close());

const copyOf = (tpm: SoftwareTpm) => new SoftwareTpm(() => performance.now(), tpm.copyState());

async function previousContact(id: string): Promise<unknown> {
  const { rows } = await database().pool.query('SELECT previous_contact FROM node WHERE id = $1', [id]);
  return rows[0]?.previous_contact;
}

test('id.clone: a copy with a TLS key of its own enrols while the original lives', async () => {
  const { id, agent: original } = await lab.node();
  await lab.verifier();
  await lab.attest(id);
  const copy = await lab.agent({ tpm: copyOf(original.tpm) });
  await lab.reEnrol(id, copy, contactOf(original));
  const verdict = await lab.attest(id);
  expect(verdict?.reasons.map(({ rule }) => rule)).toEqual(['id.clone']);
  expect(await lab.trust(id)).toMatchObject({ epoch: 1, standing: 'banned' });
  expect((await lab.verdicts(id)).at(-1)?.evidence).toMatchObject({ quote: {}, other: { quote: {} } });
});

test('id.clone: a copy with the same TLS key at another address is told by its clock', async () => {
  const { id, agent: original } = await lab.node();
  await lab.verifier();
  await lab.attest(id);
  const copy = await lab.agent({ tls: original.tls, tpm: copyOf(original.tpm) });
  await lab.reEnrol(id, copy, contactOf(original));
  expect((await lab.attest(id))?.reasons.map(({ rule }) => rule)).toEqual(['id.clone']);
});

test('id.clone: the original comes back and enrols while the copy lives', async () => {
  const { id, agent: original } = await lab.node();
  const copy = await lab.agent({ tpm: copyOf(original.tpm) });
  await lab.verifier();
  await lab.reEnrol(id, copy, null);
  expect((await lab.attest(id))?.outcome).toBe('pass');
  original.tpm.reset();
  original.tpm.reset();
  await lab.reEnrol(id, original, contactOf(copy));
  expect((await lab.attest(id))?.reasons.map(({ rule }) => rule)).toEqual(['id.clone']);
  expect(await lab.trust(id)).toMatchObject({ standing: 'banned' });
});

test('a node that moved and is nowhere else passes, and its old contact is forgotten', async () => {
  const { id, agent } = await lab.node();
  await lab.verifier();
  await lab.attest(id);
  const moved = await lab.agent({ tpm: agent.tpm });
  await agent.close();
  await lab.reEnrol(id, moved, contactOf({ ...agent, port: 9, tpm: agent.tpm, tls: agent.tls }));
  expect((await lab.attest(id))?.outcome).toBe('pass');
  expect(await previousContact(id)).toBeNull();
});

test('a node that has a new TLS key at the same address passes', async () => {
  const { id, agent } = await lab.node();
  await lab.verifier();
  await lab.attest(id);
  const renewed = await lab.agent({ tpm: agent.tpm });
  await lab.reEnrol(id, renewed, { ...contactOf(agent), port: renewed.port });
  expect((await lab.attest(id))?.outcome).toBe('pass');
  expect(await previousContact(id)).toBeNull();
});

test('one agent that is reached at two addresses is no clone', async () => {
  const { id, agent } = await lab.node();
  await lab.verifier();
  await lab.attest(id);
  const other = await lab.agent({ tls: agent.tls, tpm: agent.tpm });
  await lab.reEnrol(id, other, contactOf(agent));
  expect((await lab.attest(id))?.outcome).toBe('pass');
  expect(await previousContact(id)).toBeNull();
});

test('id.clone: two agents with TLS keys of their own are two, also on one TPM', async () => {
  const { id, agent } = await lab.node();
  await lab.verifier();
  await lab.attest(id);
  const second = await lab.agent({ tpm: agent.tpm });
  await lab.reEnrol(id, second, contactOf(agent));
  expect((await lab.attest(id))?.reasons.map(({ rule }) => rule)).toEqual(['id.clone']);
});
