import { createHash, generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { spkiOf } from '../../../core/tpm/key.ts';
import { type FakeAgent, quoteString, success } from '../../fakes/keylime-agent.ts';
import { addInventory, authTagOf, HERE, openDesk } from '../registrar/desk.ts';
import type { SoftwareNode } from '../registrar/software-node.ts';
import { useDatabase } from '../support/database.ts';
import { emptyTables, Lab } from './lab.ts';

// Nodes as the registrar makes them, by either route, with the agent of the one or the other.

const database = useDatabase();
let lab: Lab;
let desk: ReturnType<typeof openDesk>;
let agent: FakeAgent;
let node: SoftwareNode;
beforeEach(async () => {
  await emptyTables(database());
  lab = new Lab(database());
  desk = openDesk(database());
  await lab.policy();
  agent = await lab.agent({ payloadKey: newPayloadKey() });
  node = softwareNodeOf(agent);
  await addInventory(database(), node.ekSha256);
});
afterEach(() => lab.close());

let made = 0;

function newPayloadKey(): string {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return String(publicKey.export({ type: 'spki', format: 'pem' }));
}

function softwareNodeOf({ tpm, tls }: FakeAgent): SoftwareNode {
  const ekSpki = spkiOf(tpm.ek.publicArea);
  made += 1;
  return {
    ...{ alias: `stock-${made}`, ek: tpm.ek, ak: tpm.ak, tls, certificates: [], ekSpki },
    ekSha256: createHash('sha256').update(ekSpki).digest('hex'),
  };
}

async function enrolByKeylime(): Promise<string> {
  const opened = await desk.askKeylime(node, { contact: { host: '127.0.0.1', port: agent.port } });
  return desk.enrolments.activateAlias(node.alias, HERE, authTagOf(node, opened));
}

const enrolByOurs = () => desk.enrol(node, { contact: { host: '127.0.0.1', port: agent.port } });

async function record(id: string) {
  const { rows } = await database().pool.query<{ protocol: string; version: number; rules: string[] }>(
    `SELECT protocol, version, ARRAY(SELECT x->>'rule' FROM jsonb_array_elements(ek_notes) x) AS rules
     FROM node WHERE id = $1`,
    [id],
  );
  return rows[0];
}

test("a stock agent that came by Keylime's registration passes, and it is said what that rests on", async () => {
  const id = await enrolByKeylime();
  expect(await record(id)).toMatchObject({ protocol: 'keylime', rules: ['quote.channel'] });
  await lab.verifier();
  expect(await lab.attest(id)).toEqual({ outcome: 'pass', reasons: [] });
  expect(await lab.trust(id)).toMatchObject({ state: 'trusted' });
  const { rows } = await database().pool.query("SELECT evidence->>'binding' AS binding FROM last_evidence");
  expect(rows).toEqual([{ binding: 'reported-key' }]);
});

test('quote.channel: a stock agent whose quote binds another key than it reports fails', async () => {
  const id = await enrolByKeylime();
  agent.answer = (query) => success({ quote: agent.quote(query), pubkey: newPayloadKey() });
  await lab.verifier();
  expect(await lab.attest(id)).toMatchObject({ outcome: 'fail', reasons: [{ rule: 'quote.channel' }] });
});

test('quote.channel: a stock agent whose quote binds nothing fails', async () => {
  const id = await enrolByKeylime();
  agent.answer = ({ nonce, pcrs }) => {
    const quote = quoteString(agent.tpm, nonce, [...pcrs, 16]);
    return success({ quote, pubkey: newPayloadKey() });
  };
  await lab.verifier();
  expect(await lab.attest(id)).toMatchObject({ outcome: 'fail', reasons: [{ rule: 'quote.channel' }] });
});

test('trust.verdict: a stock agent that does not say which key it binds is not decided on', async () => {
  const id = await enrolByKeylime();
  agent.answer = (query) => success({ quote: agent.quote(query) });
  await lab.verifier();
  expect(await lab.attest(id)).toMatchObject({ outcome: 'inconclusive', reasons: [{ rule: 'node.answer' }] });
});

test('quote.channel: a node that came by our registration must bind its TLS key, and a foreign one fails', async () => {
  const id = await enrolByOurs();
  expect(await record(id)).toMatchObject({ protocol: 'assay', rules: [] });
  await lab.verifier();
  expect(await lab.attest(id)).toMatchObject({ outcome: 'fail', reasons: [{ rule: 'quote.channel' }] });
});

test('quote.channel: a node of ours does not go over to Keylime by itself', async () => {
  const id = await enrolByOurs();
  await expect(enrolByKeylime()).rejects.toMatchObject({
    code: 'identity-refused',
    details: [{ rule: 'quote.channel' }],
  });
  expect(await record(id)).toMatchObject({ protocol: 'assay', version: 1 });
});

test('a stock node goes over to our agent, and from then on must bind its TLS key', async () => {
  const id = await enrolByKeylime();
  expect(await enrolByOurs()).toBe(id);
  expect(await record(id)).toMatchObject({ protocol: 'assay', version: 2, rules: [] });
  await lab.verifier();
  expect(await lab.attest(id)).toMatchObject({ outcome: 'fail', reasons: [{ rule: 'quote.channel' }] });
});

test('a node from before the protocol was recorded may come by either', async () => {
  const id = await enrolByKeylime();
  await database().pool.query('UPDATE node SET protocol = NULL WHERE id = $1', [id]);
  expect(await enrolByKeylime()).toBe(id);
  expect(await record(id)).toMatchObject({ protocol: 'keylime', version: 2 });
});
