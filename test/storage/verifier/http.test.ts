import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parsePolicy } from '../../../policies/language/parse.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab, type TestNode } from './lab.ts';

const database = useDatabase();
let lab: Lab;
let url: string;
let dispatcher: Agent;
let node: TestNode;

beforeAll(async () => {
  await emptyTables(database());
  lab = new Lab(database());
  const { pem, admin } = await lab.pki;
  const { certificate, key } = await admin();
  dispatcher = new Agent({ connect: { ca: pem, cert: certificate, key } });
  node = await lab.node();
  ({ url } = await lab.verifier());
});
afterAll(async () => {
  await dispatcher.destroy();
  await lab.close();
});

async function call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object) {
  const { statusCode, body: answer } = await request(new URL(path, url), {
    dispatcher,
    method,
    ...(body ? { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } } : {}),
  });
  return { status: statusCode, body: JSON.parse(await answer.text()) };
}

const POLICY = `assay: policy/v1
name: web
freshness: { interval: 20s, trust-for: 1m }
reaction: ban
pcrs: { bank: sha256, require: 0-2 }
`;

describe('policies', () => {
  test('are kept in versions: the same text is the same version', async () => {
    const add = (document: string) => call('POST', '/v1/policies', { document });
    expect((await add(POLICY)).body).toEqual({ name: 'web', version: 1 });
    expect((await add(POLICY)).body).toEqual({ name: 'web', version: 1 });
    expect((await add(`${POLICY}# other\n`)).body).toEqual({ name: 'web', version: 2 });
    // Going back is a step as well: the newest version is what counts.
    expect((await add(POLICY)).body).toEqual({ name: 'web', version: 3 });
    expect((await call('GET', '/v1/policies/web?version=2')).body).toMatchObject({
      document: `${POLICY}# other\n`,
    });
    expect((await call('GET', '/v1/policies/web?version=9')).status).toBe(404);
  });

  test('that do not validate are refused, with where and what', async () => {
    const { status, body } = await call('POST', '/v1/policies', { document: POLICY.replace('0-2', '0-99') });
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'invalid-policy' });
  });

  test('are assigned, and all verifiers follow', async () => {
    expect((await call('PUT', '/v1/assignments', { subject: 'default', policy: 'none' })).status).toBe(404);
    expect((await call('PUT', '/v1/assignments', { subject: 'everybody', policy: 'web' })).status).toBe(400);
    expect((await call('PUT', '/v1/assignments', { subject: 'group:web', policy: 'web' })).status).toBe(200);
    expect((await call('GET', '/v1/policies')).body.policies).toMatchObject([
      { name: 'web', version: 3, assignedTo: ['group:web'], createdBy: 'admin:ann' },
    ]);
    expect((await call('GET', '/v1/assignments')).body.assignments).toMatchObject([
      { subject: 'group:web', policy: 'web', assignedBy: 'admin:ann' },
    ]);
    await until('the node passes', () => lab.isTrusted(node.id));
  });

  test('are drafted from what a node showed, and hold for it', async () => {
    const { body } = await call('POST', '/v1/policies/draft', { node: node.id, name: 'drafted' });
    const policy = parsePolicy(body.document);
    expect(policy.pcrs.selection).toEqual([0, 1, 2]);
    expect(policy.pcrs.rules.map(({ anyOf }) => [...anyOf])).toEqual(Array(3).fill(['00'.repeat(32)]));
    await call('POST', '/v1/policies', { document: body.document });
    await call('PUT', '/v1/assignments', { subject: `node:${node.id}`, policy: 'drafted' });
    await until('it passes the draft', async () => {
      const { body: history } = await call('GET', `/v1/nodes/${node.id}/verdicts`);
      return history.verdicts[0]?.policy === 'drafted@1' && history.verdicts[0].outcome === 'pass';
    });
    expect((await call('DELETE', `/v1/assignments/node:${node.id}`)).status).toBe(200);
    expect((await call('DELETE', `/v1/assignments/node:${node.id}`)).status).toBe(404);
  });
});

describe('nodes', () => {
  test('are attested on request', async () => {
    expect((await call('POST', `/v1/nodes/${node.id}/attest`)).body).toEqual({
      outcome: 'pass',
      reasons: [],
    });
    const unknown = node.id.replace(/^..../, '0000');
    expect((await call('POST', `/v1/nodes/${unknown}/attest`)).status).toBe(404);
  });

  test('show their evidence', async () => {
    const { body } = await call('GET', `/v1/nodes/${node.id}/evidence`);
    expect(body).toMatchObject({ nodeId: node.id, evidence: { format: 'keylime-quote/1', bank: 'sha256' } });
  });

  test('are banned and unbanned, and the stream of events tells it', async () => {
    const stream = await request(new URL('/v1/events', url), {
      dispatcher,
      headers: { 'last-event-id': '0' },
    });
    let text = '';
    stream.body.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    stream.body.on('error', () => {});
    expect((await call('POST', `/v1/nodes/${node.id}/ban`, { reason: 'lost' })).status).toBe(200);
    expect((await call('POST', `/v1/nodes/${node.id}/ban`, { reason: 'lost' })).status).toBe(409);
    expect((await call('POST', `/v1/nodes/${node.id}/attest`)).status).toBe(409);
    await until('the notice', () => node.agent.notices.length === 1);
    expect((await call('POST', `/v1/nodes/${node.id}/unban`, { reason: 'found' })).status).toBe(200);
    expect((await call('POST', `/v1/nodes/${node.id}/unban`, { reason: 'found' })).status).toBe(409);
    await until('all events', () => (text.match(/"kind":"trusted"/g) ?? []).length === 2);
    const kinds = [...text.matchAll(/"kind":"(\w+)"/g)].map(([, kind]) => kind);
    expect(kinds).toEqual(['trusted', 'banned', 'unbanned', 'trusted']);
    stream.body.destroy();
  });

  test('answer problems for bad ids and unknown nodes', async () => {
    expect((await call('POST', '/v1/nodes/nobody/ban', { reason: 'x' })).status).toBe(400);
    const unknown = node.id.replace(/^..../, '0000');
    expect((await call('POST', `/v1/nodes/${unknown}/ban`, { reason: 'x' })).status).toBe(404);
    expect((await call('GET', '/v1/verdicts/999999/evidence')).status).toBe(404);
  });
});

test('api.deny: nobody without a role gets anywhere', async () => {
  const { pem } = await lab.pki;
  const anonymous = new Agent({ connect: { ca: pem } });
  for (const path of ['/v1/policies', '/v1/events', `/v1/nodes/${node.id}/verdicts`, '/metrics']) {
    const { statusCode, body } = await request(new URL(path, url), { dispatcher: anonymous });
    await body.dump();
    expect(statusCode).toBe(401);
  }
  await anonymous.close();
});
