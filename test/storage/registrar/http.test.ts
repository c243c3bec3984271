import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditLog } from '../../../platform/database/schema.ts';
import { useDatabase } from '../support/database.ts';
import { type Answer, textAt } from './http.ts';
import { enrolOver, type Running, runRegistrar } from './running.ts';
import { enrolmentRequest, softwareNode, tlsIdentity } from './software-node.ts';

const database = useDatabase();
let running: Running;
beforeAll(async () => {
  running = await runRegistrar(database());
});
afterAll(() => running.close());

const CSV = 'ek_sha256,certificate_serial,certificate_issuer,asset_name,group\n';

function problem(code: string, status: number) {
  return { status, body: { code, status } };
}

describe('enrolment over HTTP', () => {
  test('challenge, activation, and the record that the node sees', async () => {
    const node = await softwareNode();
    const activated = await enrolOver(running, node);
    expect(activated).toMatchObject({
      status: 200,
      body: { version: 1, alias: node.alias, state: 'pending', group: null, notes: [] },
    });
    const self = await running.of(node).call('GET', '/v1/nodes/self');
    expect(self).toMatchObject({ status: 200, body: activated.body as object });
  });

  test('approval by a person admits the node; its name in the audit log', async () => {
    const node = await softwareNode();
    const id = textAt(await enrolOver(running, node), 'nodeId');
    const approval = { group: 'edge', assetName: 'rack 1', reason: 'seen it' };
    expect(await running.admin.call('POST', `/v1/nodes/${id}/approve`, approval)).toMatchObject({
      status: 200,
      body: { id, state: 'enrolled', group: 'edge', assetName: 'rack 1', admittedBy: 'admin:ann' },
    });
    expect(await running.admin.call('POST', `/v1/nodes/${id}/approve`, approval)).toMatchObject(
      problem('conflict', 409),
    );
    const rows = await database().db.select().from(auditLog);
    expect(rows.filter(({ act, subject }) => act === 'node.approve' && subject === id)).toMatchObject([
      { actor: 'admin:ann', detail: { reason: 'seen it' } },
    ]);
  });

  test('the connection must show the TLS certificate that is registered', async () => {
    const node = await softwareNode();
    const request = enrolmentRequest(node);
    const refused = problem('unauthenticated', 401);
    expect(await running.anonymous.call('POST', '/v1/enrolments', request)).toMatchObject(refused);
    const other = running.connect(await tlsIdentity());
    expect(await other.call('POST', '/v1/enrolments', request)).toMatchObject(refused);
  });

  test('api.own: a node sees itself alone', async () => {
    const node = await softwareNode();
    const id = textAt(await enrolOver(running, node), 'nodeId');
    const own = running.of(node);
    expect(await own.call('GET', `/v1/nodes/${id}`)).toMatchObject(problem('forbidden', 403));
    expect(await own.call('GET', '/v1/nodes')).toMatchObject(problem('forbidden', 403));
    const stranger = running.connect(await tlsIdentity());
    expect(await stranger.call('GET', '/v1/nodes/self')).toMatchObject(problem('unauthenticated', 401));
    expect(await running.admin.call('GET', '/v1/nodes/self')).toMatchObject(problem('forbidden', 403));
  });

  test('bytes that are no key are malformed, unknown members are refused', async () => {
    const node = await softwareNode();
    const own = running.of(node);
    const request = enrolmentRequest(node);
    expect(await own.call('POST', '/v1/enrolments', { ...request, akPublic: 'AAAA' })).toMatchObject(
      problem('malformed', 400),
    );
    expect(await own.call('POST', '/v1/enrolments', { ...request, extra: 1 })).toMatchObject({ status: 400 });
  });

  test.each(['a b', '-x', 'http://evil', 'x'.repeat(64)])('contact host "%s" is refused', async (host) => {
    const node = await softwareNode();
    const request = { ...enrolmentRequest(node), contact: { host, port: 1 } };
    expect(await running.of(node).call('POST', '/v1/enrolments', request)).toMatchObject(
      problem('invalid-request', 400),
    );
  });
});

describe('tokens', () => {
  const create = (body: object) => running.admin.call('POST', '/v1/tokens', body);

  test('the line to paste is shown once; nothing shows the token again', async () => {
    const created = await create({ group: 'build', ttl: '1h', note: 'for ci-7' });
    expect(created.status).toBe(201);
    const token = textAt(created, 'token');
    expect(textAt(created, 'command')).toMatch(
      new RegExp(
        `^assay-agent join https://registrar\\.test:8891 --token ${token} --ca sha256:[0-9a-f]{64}$`,
      ),
    );
    const listed = await running.viewer.call('GET', '/v1/tokens');
    expect(listed.text).toContain('for ci-7');
    const everything = [listed, await running.viewer.call('GET', '/v1/audit')];
    for (const answer of everything) expect(answer.text).not.toContain(token.slice(6));
    const stored = await database().pool.query('SELECT t::text AS row FROM join_token t');
    expect(JSON.stringify(stored.rows)).not.toContain(
      Buffer.from(token.slice(6), 'base64url').toString('hex'),
    );
  });

  test('a revoked token admits nobody, and is revoked once', async () => {
    const created = await create({ group: 'build', ttl: '1h' });
    const path = `/v1/tokens/${textAt(created, 'id')}`;
    expect((await running.admin.call('DELETE', path)).status).toBe(204);
    expect(await running.admin.call('DELETE', path)).toMatchObject(problem('not-found', 404));
    const self = await enrolOver(running, await softwareNode(), textAt(created, 'token'));
    expect(self).toMatchObject({ body: { state: 'pending' } });
  });

  test.each(['0s', '500ms', '31d'])('a lifetime of %s is refused', async (ttl) => {
    expect(await create({ group: 'build', ttl })).toMatchObject(problem('invalid-request', 400));
  });

  test('what is no token is refused at once', async () => {
    const answer = await enrolOver(running, await softwareNode(), 'assay_short');
    expect(answer).toMatchObject(problem('invalid-request', 400));
  });
});

describe('inventory', () => {
  const load = (csv: string) => running.admin.call('POST', '/v1/inventory', csv);

  test('a file is added once, and admits the node it names', async () => {
    const node = await softwareNode();
    const csv = `${CSV}${node.ekSha256},,,rack 40,edge\n,0A,"CN=Maker",rack 41,edge\n`;
    expect(await load(csv)).toMatchObject({ status: 200, body: { added: 2, unchanged: 0 } });
    expect(await load(csv)).toMatchObject({ status: 200, body: { added: 0, unchanged: 2 } });
    expect(await enrolOver(running, node)).toMatchObject({ body: { state: 'enrolled', group: 'edge' } });
    const listed = await running.viewer.call('GET', '/v1/inventory');
    expect(listed.body).toMatchObject({
      entries: [
        { assetName: 'rack 40', ekSha256: node.ekSha256, nodeId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
        { assetName: 'rack 41', certificateSerial: 'a', certificateIssuer: 'CN=Maker', nodeId: null },
      ],
    });
  });

  test('one faulty line, and nothing is added', async () => {
    const good = 'ab'.repeat(32);
    const answer = await load(`${CSV}${good},,,rack 50,edge\nzz,,,rack 51,edge\n`);
    expect(answer).toMatchObject(problem('invalid-request', 400));
    expect(answer.text).toContain('line 3: ek_sha256');
    expect((await running.viewer.call('GET', '/v1/inventory')).text).not.toContain('rack 50');
  });

  test('an entry with other values is a conflict that names both', async () => {
    const ek = 'cd'.repeat(32);
    await load(`${CSV}${ek},,,rack 60,edge\n`);
    const answer = await load(`${CSV}${'ef'.repeat(32)},,,rack 61,edge\n${ek},,,rack 99,edge\n`);
    expect(answer).toMatchObject(problem('conflict', 409));
    expect(answer.text).toContain('line 3: rack 99 in edge is there as rack 60');
    expect((await running.viewer.call('GET', '/v1/inventory')).text).not.toContain('rack 61');
  });

  test('an entry can be removed', async () => {
    await load(`${CSV}${'12'.repeat(32)},,,rack 70,edge\n`);
    const rows = await database().pool.query("SELECT id FROM inventory WHERE asset_name = 'rack 70'");
    const path = `/v1/inventory/${rows.rows[0].id}`;
    expect((await running.admin.call('DELETE', path)).status).toBe(204);
    expect(await running.admin.call('DELETE', path)).toMatchObject(problem('not-found', 404));
  });
});

describe('looking nodes up', () => {
  test('by id, by a beginning of it, and by alias', async () => {
    const node = await softwareNode({ alias: 'lookup-1' });
    const id = textAt(await enrolOver(running, node), 'nodeId');
    for (const name of [id, id.slice(0, 20), 'lookup-1']) {
      expect(await running.viewer.call('GET', `/v1/nodes/${name}`)).toMatchObject({
        status: 200,
        body: { id },
      });
    }
    expect(await running.viewer.call('GET', '/v1/nodes/nobody')).toMatchObject(problem('not-found', 404));
  });

  test('an alias of two nodes is a conflict that lists them', async () => {
    const nodes = await Promise.all([1, 2].map(() => softwareNode({ alias: 'twins' })));
    const ids: string[] = [];
    for (const node of nodes) ids.push(textAt(await enrolOver(running, node), 'nodeId'));
    const answer = await running.viewer.call('GET', '/v1/nodes/twins');
    expect(answer).toMatchObject(problem('conflict', 409));
    for (const id of ids) expect(answer.text).toContain(`${id} twins (pending)`);
  });

  test('an alias that is the id of another node does not hide that node', async () => {
    const victim = textAt(await enrolOver(running, await softwareNode()), 'nodeId');
    await enrolOver(running, await softwareNode({ alias: victim }));
    expect(await running.viewer.call('GET', `/v1/nodes/${victim}`)).toMatchObject({ body: { id: victim } });
  });

  test('lists by state and group, in pages', async () => {
    const all = await running.viewer.call('GET', '/v1/nodes');
    const ids = idsOf(all);
    expect(ids).toEqual([...ids].sort());
    const first = await running.viewer.call('GET', '/v1/nodes?limit=2');
    const next = textAt(first, 'next');
    const second = await running.viewer.call('GET', `/v1/nodes?after=${next}&limit=100`);
    expect([...idsOf(first), ...idsOf(second)]).toEqual(ids);
    expect(second.body).not.toHaveProperty('next');
    const edge = await running.viewer.call('GET', '/v1/nodes?state=enrolled&group=edge');
    expect(idsOf(edge).length).toBeGreaterThan(0);
    expect(edge.text).not.toContain('"pending"');
    expect(await running.viewer.call('GET', '/v1/nodes?state=nonsense')).toMatchObject({ status: 400 });
  });

  test('the detail shows keys and hashes, and what the verifier last said', async () => {
    const node = await softwareNode();
    const id = textAt(await enrolOver(running, node), 'nodeId');
    await database().pool.query(
      "INSERT INTO node_trust (node_id, standing, policy_name, policy_version, tpm_clock, note) VALUES ($1, 'banned', 'base', 3, 18446744073709551615, $2)",
      [id, 'line\nbreak'],
    );
    expect(await running.viewer.call('GET', `/v1/nodes/${id}`)).toMatchObject({
      body: {
        state: 'banned',
        ekSha256: node.ekSha256,
        ekCertificate: null,
        akAlgorithm: 'ECC P256 ecdsa sha256',
        contact: '127.0.0.1:9002',
        policy: 'base@3',
        tpmClock: { clock: '18446744073709551615' },
        note: 'line\\x0abreak',
      },
    });
  });

  test('retired once, for good', async () => {
    const node = await softwareNode();
    const id = textAt(await enrolOver(running, node), 'nodeId');
    const retire = () => running.admin.call('POST', `/v1/nodes/${id}/retire`, { reason: 'scrapped' });
    await running.admin.call('POST', `/v1/nodes/${id}/approve`, { group: 'edge', reason: 'test' });
    await database().pool.query(
      "INSERT INTO node_trust (node_id, standing, node_version, trusted_until) VALUES ($1, 'passing', 1, now() + '1h')",
      [id],
    );
    expect(await running.admin.call('GET', `/v1/nodes/${id}`)).toMatchObject({
      body: { state: 'trusted', trustedUntil: expect.any(String) },
    });
    expect(await retire()).toMatchObject({ status: 200, body: { state: 'retired', trustedUntil: null } });
    expect(await retire()).toMatchObject(problem('conflict', 409));
    expect(await enrolOver(running, node)).toMatchObject({ body: { state: 'retired', version: 2 } });
  });
});

function idsOf({ body }: Answer): string[] {
  const nodes: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'nodes') : [];
  return Array.isArray(nodes) ? nodes.map((node: { id: string }) => node.id) : [];
}

describe('api.deny: who may ask', () => {
  const ADMIN_ONLY = [
    ['POST', '/v1/nodes/abcd/approve'],
    ['POST', '/v1/nodes/abcd/retire'],
    ['POST', '/v1/inventory'],
    ['DELETE', '/v1/inventory/00000000-0000-4000-8000-000000000000'],
    ['POST', '/v1/tokens'],
    ['DELETE', '/v1/tokens/00000000-0000-4000-8000-000000000000'],
    ['POST', '/v1/trust'],
    ['DELETE', '/v1/trust/0123456789abcdef'],
    ['GET', '/v2.5/agents'],
    ['GET', '/v2.5/agents/some'],
    ['DELETE', '/v2.5/agents/some'],
  ] as const;
  const READ = [
    '/v1/nodes',
    '/v1/nodes/abcd',
    '/v1/inventory',
    '/v1/tokens',
    '/v1/trust',
    '/v1/audit',
    '/metrics',
  ];

  test.each(ADMIN_ONLY)('%s %s is for admins', async (method, path) => {
    expect((await running.anonymous.call(method, path)).status).toBe(401);
    expect((await running.viewer.call(method, path)).status).toBe(403);
    expect((await running.verifier.call(method, path)).status).toBe(403);
  });

  test.each(READ)('GET %s is for people', async (path) => {
    expect((await running.anonymous.call('GET', path)).status).toBe(401);
    expect((await running.verifier.call('GET', path)).status).toBe(403);
    expect([200, 404]).toContain((await running.viewer.call('GET', path)).status);
  });
});

describe('audit', () => {
  test('audit.chain: entries in pages, and a chain that verifies', async () => {
    const page = await running.viewer.call('GET', '/v1/audit?after=1&limit=2');
    expect(page.body).toMatchObject({ entries: [{ seq: 2 }, { seq: 3 }] });
    const verified = await running.viewer.call('GET', '/v1/audit/verification');
    expect(verified.body).toMatchObject({ ok: true, firstBroken: null });
  });
});

describe('what everybody may ask', () => {
  test('the CA, where the services are, health, and the description of the API', async () => {
    expect((await running.anonymous.call('GET', '/v1/ca')).text).toBe(running.ca.pem);
    expect(await running.anonymous.call('GET', '/v1/discovery')).toMatchObject({
      body: { trustDomain: 'example.org', verifier: 'https://verifier.test:8881' },
    });
    expect((await running.anonymous.call('GET', '/readyz')).status).toBe(200);
    const paths = (await running.anonymous.call('GET', '/openapi.json')).body;
    expect(paths).toMatchObject({ openapi: '3.1.0', paths: { '/v1/enrolments': {} } });
  });
});
