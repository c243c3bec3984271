import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseCertificate } from '../../../core/x509/certificate.ts';
import { parsePem } from '../../../core/x509/pem.ts';
import { verifyResult } from '../../../platform/results/token.ts';
import { fillJudges } from '../../../verifier/store/policies.ts';
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
  const { pem, admin, resultSigner } = await lab.pki;
  const { certificate, key } = await admin();
  dispatcher = new Agent({ connect: { ca: pem, cert: certificate, key } });
  node = await lab.node();
  ({ url } = await lab.verifier({}, { resultSigner }));
});
afterAll(async () => {
  await dispatcher.destroy();
  await lab.close();
});

async function get(path: string) {
  const { statusCode, body } = await request(new URL(path, url), { dispatcher });
  return { status: statusCode, body: JSON.parse(await body.text()) };
}

async function result(id: string, nonce?: string) {
  const { pem } = await lab.pki;
  const query = nonce === undefined ? '' : `?nonce=${encodeURIComponent(nonce)}`;
  const { body } = await get(`/v1/nodes/${id}/result${query}`);
  const anchors = [parseCertificate(parsePem('CERTIFICATE', pem))];
  const checked = await verifyResult(body.token, { anchors, at: new Date(), nonce });
  if (!checked.ok) throw new Error(checked.problem);
  expect(checked.claims).toEqual(body.claims);
  const { tier, tierReasons } = checked.claims['urn:assay:verdict'];
  return { claims: checked.claims, tier: [tier, ...tierReasons.map(({ rule }) => rule)].join(' ') };
}

test('a result follows the node: never passed, trusted as far as its policy judges, failed', async () => {
  expect((await result(node.id)).tier).toBe('untrusted tier.never');
  await lab.policy();
  await until('the node is trusted', () => lab.isTrusted(node.id));
  const trusted = await result(node.id, 'bm9uY2Vub25jZQ');
  expect(trusted.tier).toBe('partial tier.boot tier.files tier.ek');
  expect(trusted.claims.eat_nonce).toBe('bm9uY2Vub25jZQ');
  expect(trusted.claims.submods.identity).toMatchObject({
    ear_status: 'affirming',
    ear_appraisal_policy_ids: [expect.stringMatching(/^urn:assay:policy:test:1:sha256:[0-9a-f]{64}$/)],
  });
  const { exp, iat } = trusted.claims;
  expect(exp - iat).toBeGreaterThan(0);
});

test('the key that signs is needed, and nodes that nobody knows have no result', async () => {
  expect((await get('/v1/nodes/00000000-0000-8000-8000-000000000000/result')).status).toBe(404);
  expect((await get(`/v1/nodes/${node.id}/result?nonce=short`)).status).toBe(400);
  const plain = await lab.verifier();
  const { statusCode, body } = await request(new URL(`/v1/nodes/${node.id}/result`, plain.url), {
    dispatcher,
  });
  expect(statusCode).toBe(409);
  expect(JSON.parse(await body.text()).detail).toContain('assay init --renew');
});

test('what a policy judges is known of those that the release before kept, too', async () => {
  await database().pool.query('UPDATE policy SET judges = NULL');
  await fillJudges(database().db);
  const { rows } = await database().pool.query('SELECT judges FROM policy');
  expect(rows).toEqual([{ judges: [] }]);
});
