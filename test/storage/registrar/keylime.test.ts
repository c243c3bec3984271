import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fromBase64, toBase64 } from '../../../core/bytes/encoding.ts';
import { renderAuthTag } from '../../../core/messages/keylime/auth-tag.ts';
import { marshalTpm2bPublic } from '../../../core/tpm/public.ts';
import { useDatabase } from '../support/database.ts';
import { client, textAt } from './http.ts';
import { type Client, type Running, runRegistrar } from './running.ts';
import { openBlob, type SoftwareNode, softwareNode } from './software-node.ts';

const database = useDatabase();
let running: Running;
let plain: Client;
beforeAll(async () => {
  running = await runRegistrar(database());
  plain = client(running.registrar.keylimeUrl ?? '', '');
});
afterAll(async () => {
  await plain.close();
  await running.close();
});

function registration(node: SoftwareNode, changes: object = {}) {
  return {
    ek_tpm: toBase64(marshalTpm2bPublic(node.ek.publicArea)),
    ekcert: '',
    aik_tpm: toBase64(marshalTpm2bPublic(node.ak.publicArea)),
    iak_cert: null,
    idevid_cert: null,
    mtls_cert: node.tls.certificate,
    ip: '127.0.0.1',
    port: 9002,
    ...changes,
  };
}

function tagFor(node: SoftwareNode, blob: string): string {
  return renderAuthTag(openBlob(node, fromBase64(blob, 'blob')), node.alias);
}

async function register(node: SoftwareNode, body = registration(node)): Promise<string> {
  const answer = await plain.call('POST', `/v2.5/agents/${node.alias}`, body);
  expect(answer.status, answer.text).toBe(200);
  return textAt(answer, 'results', 'blob');
}

async function admit(node: SoftwareNode): Promise<void> {
  const auth_tag = tagFor(node, await register(node));
  await plain.call('PUT', `/v2.5/agents/${node.alias}`, { auth_tag });
  const approval = { group: 'edge', reason: 'test' };
  const answer = await running.admin.call('POST', `/v1/nodes/${node.alias}/approve`, approval);
  expect(answer.status, answer.text).toBe(200);
}

test('the versions, as agents negotiate them', async () => {
  const expected = {
    code: 200,
    status: 'Success',
    results: {
      current_version: '2.6',
      supported_versions: ['2.0', '2.1', '2.2', '2.3', '2.4', '2.5', '2.6'],
    },
  };
  expect((await plain.call('GET', '/version')).text).toBe(JSON.stringify(expected));
  expect((await running.anonymous.call('GET', '/version')).body).toEqual(expected);
});

describe('registration', () => {
  test('byte for byte: a blob, then an empty result', async () => {
    const node = await softwareNode();
    const registered = await plain.call('POST', `/v2.6/agents/${node.alias}`, registration(node));
    const blob = textAt(registered, 'results', 'blob');
    expect(registered.text).toBe(`{"code":200,"status":"Success","results":{"blob":"${blob}"}}`);
    expect(blob.startsWith('utzA3gAAAAE')).toBe(true);
    const auth_tag = tagFor(node, blob);
    const activated = await plain.call('PUT', `/v2.6/agents/${node.alias}`, { auth_tag });
    expect(activated).toMatchObject({ status: 200, text: '{"code":200,"status":"Success","results":{}}' });
    const listed = await running.viewer.call('GET', `/v1/nodes/${node.alias}`);
    expect(listed.body).toMatchObject({ state: 'pending', alias: node.alias });
  });

  test.each([
    ['PUT', '/activate'],
    ['POST', '/activate'],
  ] as const)('activation with %s …%s, the id of the registration in the body', async (method, suffix) => {
    const node = await softwareNode();
    const body = { ...registration(node), agent_id: node.alias };
    const answer = await plain.call('POST', '/v2.3/agents', body);
    const auth_tag = tagFor(node, textAt(answer, 'results', 'blob'));
    const activated = await plain.call(method, `/v2.3/agents/${node.alias}${suffix}`, { auth_tag });
    expect(activated.status).toBe(200);
  });

  test('members that a later version adds are accepted', async () => {
    const node = await softwareNode();
    await register(node, registration(node, { attestation_mode: 'pull', provider_keys: {} }));
  });

  test('an agent without TLS registers, and is told that nothing polls it', async () => {
    const node = await softwareNode();
    const blob = await register(node, registration(node, { mtls_cert: 'disabled' }));
    await plain.call('PUT', `/v2.5/agents/${node.alias}`, { auth_tag: tagFor(node, blob) });
    const shown = await running.viewer.call('GET', `/v1/nodes/${node.alias}`);
    expect(shown.body).toMatchObject({ tlsSha256: null, admission: expect.stringContaining('never polled') });
  });

  test.each([
    ['no address', { ip: null }],
    ['an address that is none', { ip: 'a b' }],
    ['a port that is none', { port: 0 }],
    ['no EK', { ek_tpm: '' }],
    ['an EK that is none', { ek_tpm: 'AAAA' }],
    ['a certificate that is none', { ekcert: 'AAAA' }],
    ['a TLS certificate that is none', { mtls_cert: 'MIIB' }],
  ])('%s is 400 in the envelope', async (_case, changes) => {
    const node = await softwareNode();
    const answer = await plain.call('POST', `/v2.5/agents/${node.alias}`, registration(node, changes));
    expect(answer).toMatchObject({ status: 400, body: { code: 400, results: {} } });
    expect(Object.keys(answer.body as object)).toEqual(['code', 'status', 'results']);
  });

  test('a version that is not served is 404', async () => {
    const node = await softwareNode();
    expect((await plain.call('POST', `/v2.7/agents/${node.alias}`, registration(node))).status).toBe(404);
  });

  test('ak.activation: a wrong tag is 400 and spends the challenge', async () => {
    const node = await softwareNode();
    const auth_tag = tagFor(node, await register(node));
    const wrong = await plain.call('PUT', `/v2.5/agents/${node.alias}`, { auth_tag: '0'.repeat(96) });
    expect(wrong).toMatchObject({ status: 400, body: { code: 400, results: {} } });
    const late = await plain.call('PUT', `/v2.5/agents/${node.alias}`, { auth_tag });
    expect(late).toMatchObject({ status: 404, body: { code: 404, results: {} } });
  });

  test('id.clone: the TLS certificate of another node is 403', async () => {
    const node = await softwareNode();
    await plain.call('PUT', `/v2.5/agents/${node.alias}`, { auth_tag: tagFor(node, await register(node)) });
    const copy = await softwareNode({ tls: node.tls });
    const auth_tag = tagFor(copy, await register(copy));
    const answer = await plain.call('PUT', `/v2.5/agents/${copy.alias}`, { auth_tag });
    expect(answer).toMatchObject({ status: 403, body: { code: 403, results: {} } });
  });

  test('id.immutable: the alias of an admitted node with another EK leaves that node alone', async () => {
    const node = await softwareNode();
    await admit(node);
    const before = await running.admin.call('GET', `/v2.5/agents/${node.alias}`);
    const other = await softwareNode({ alias: node.alias });
    const blob = await register(other);
    const auth_tag = tagFor(other, blob);
    expect((await plain.call('PUT', `/v2.5/agents/${node.alias}`, { auth_tag })).status).toBe(200);
    expect((await running.admin.call('GET', `/v2.5/agents/${node.alias}`)).body).toEqual(before.body);
  });
});

describe('administration', () => {
  test('an admitted node is listed, shown and retired by its alias', async () => {
    const node = await softwareNode();
    await admit(node);
    // Keylime's tenant asks with a slash at the end.
    for (const path of ['/v2.5/agents', '/v2.6/agents/']) {
      const list = await running.admin.call('GET', path);
      expect(list.body).toMatchObject({
        code: 200,
        results: { uuids: expect.arrayContaining([node.alias]) },
      });
    }
    expect((await running.admin.call('GET', `/v2.5/agents/${node.alias}`)).body).toEqual({
      code: 200,
      status: 'Success',
      results: {
        aik_tpm: registration(node).aik_tpm,
        ek_tpm: registration(node).ek_tpm,
        ekcert: '',
        mtls_cert: expect.stringContaining('BEGIN CERTIFICATE'),
        ip: '127.0.0.1',
        port: 9002,
        regcount: 1,
      },
    });
    expect((await running.admin.call('DELETE', `/v2.5/agents/${node.alias}`)).status).toBe(200);
    expect(await running.admin.call('GET', `/v2.5/agents/${node.alias}`)).toMatchObject({
      status: 404,
      body: { code: 404, results: {} },
    });
  });

  test('a node that was not admitted is not there', async () => {
    const node = await softwareNode();
    await plain.call('PUT', `/v2.5/agents/${node.alias}`, { auth_tag: tagFor(node, await register(node)) });
    expect((await running.admin.call('GET', `/v2.5/agents/${node.alias}`)).status).toBe(404);
  });

  test('api.deny: the plain listener serves registration and nothing else', async () => {
    for (const path of [
      '/v2.5/agents',
      '/v2.5/agents/x',
      '/v1/nodes',
      '/v1/tokens',
      '/metrics',
      '/openapi.json',
    ]) {
      expect((await plain.call('GET', path)).status).toBe(404);
    }
  });
});
