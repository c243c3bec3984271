import { createServer } from 'node:https';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Api } from '../../../cli/api.ts';
import { httpApi } from '../../../cli/http-api.ts';
import { testPki } from '../../fakes/pki.ts';

const BYTES = Uint8Array.from({ length: 256 }, (_, octet) => octet);
const NODE_ID = '121c409b-9ef8-82d4-a213-205baf51bf64';
const KEYLIME_UUID = 'd432fbb3-d2f1-4a97-9ef7-75bd81c00000';
const asked: (string | undefined)[] = [];
let api: Api;
let close: () => Promise<void>;

beforeAll(async () => {
  const pki = await testPki();
  const server = createServer({ cert: pki.server.certificate, key: pki.server.key }, (request, response) => {
    asked.push(request.headers.accept);
    if (request.url === '/bytes') return response.end(BYTES);
    if (request.url === `/v1/nodes/${KEYLIME_UUID}`) {
      response.writeHead(200, { 'content-type': 'application/json' });
      return response.end(JSON.stringify({ id: NODE_ID }));
    }
    response.writeHead(404, { 'content-type': 'application/problem+json' });
    return response.end(JSON.stringify({ code: 'not-found', detail: 'there is no such set' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `https://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`;
  const client = await pki.client('urn:assay:role:viewer');
  api = httpApi({ registrar: url, verifier: url, issuer: url }, { ...client, ca: pki.serviceCa.pem });
  close = async () => {
    await api.close();
    await new Promise((resolve) => server.close(resolve));
  };
});
afterAll(() => close());

test('bytes come as they were sent', async () => {
  expect(await api.getBytes('verifier', '/bytes')).toEqual(BYTES);
  expect(asked).toEqual(['application/octet-stream']);
});

test("a refusal of bytes has the service's own code and words", async () => {
  await expect(api.getBytes('verifier', '/other')).rejects.toMatchObject({
    code: 'not-found',
    message: 'there is no such set',
  });
});

test('the registrar says which node a name is, the UUID of a Keylime agent too; a node id needs no question', async () => {
  expect(await api.nodeId(KEYLIME_UUID)).toBe(NODE_ID);
  expect(await api.nodeId(NODE_ID)).toBe(NODE_ID);
});
