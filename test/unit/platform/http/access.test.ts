import { X509Certificate } from 'node:crypto';
import tls from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Access, Identifier, mayAccess, type Principal } from '../../../../platform/http/principal.ts';
import { createHttpServer } from '../../../../platform/http/server.ts';
import { createAuthority, createSelfSigned, type Identity } from './certificates.ts';
import { agentFor, ask, NODE_ID, ROUTES, silent, startToyServer, type ToyServer } from './toy-server.ts';

let toy: ToyServer;
const people = new Map<string, { identity: Identity | undefined; principal: Principal }>();
const anonymous: Principal = { kind: 'anonymous' };

const CALLERS = [
  'no certificate',
  'unknown certificate',
  'admin of another CA',
  'self-signed admin',
  'certificate without a role',
  'unknown role',
  'roles in a quoted name',
  'expired admin',
  'node',
  'admin',
  'viewer',
  'service verifier',
  'service issuer',
] as const;

beforeAll(async () => {
  toy = await startToyServer();
  const { authority } = toy;
  const admin = { uris: ['urn:assay:role:admin'] };
  const add = (
    name: (typeof CALLERS)[number],
    identity: Identity | undefined,
    principal: Principal = anonymous,
  ) => people.set(name, { identity, principal });
  add('no certificate', undefined);
  add('unknown certificate', await createSelfSigned('stranger'));
  add('admin of another CA', await (await createAuthority('service CA')).issue('root', admin));
  add('self-signed admin', await createSelfSigned('root', admin));
  add('certificate without a role', await authority.issue('nobody'));
  add('unknown role', await authority.issue('nobody', { uris: ['urn:assay:role:administrator'] }));
  add(
    'roles in a quoted name',
    await authority.issue('nobody', { uris: ['urn:x, URI:urn:assay:role:admin, URI:urn:y'] }),
  );
  add('expired admin', await authority.issue('late', { ...admin, notAfter: new Date(Date.now() - 1000) }));
  const node = await createSelfSigned('node');
  toy.nodes.set(Buffer.from(node.sha256).toString('hex'), NODE_ID);
  add('node', node, { kind: 'node', nodeId: NODE_ID });
  add('admin', await authority.issue('ada', admin), { kind: 'admin', name: 'ada' });
  add('viewer', await authority.issue('vic', { uris: ['urn:assay:role:viewer'] }), {
    kind: 'viewer',
    name: 'vic',
  });
  for (const name of ['verifier', 'issuer'] as const) {
    const identity = await authority.issue(`the ${name}`, { uris: [`urn:assay:service:${name}`] });
    add(`service ${name}`, identity, { kind: 'service', name });
  }
});
afterAll(() => toy.app.close());

const expected = (principal: Principal, access: readonly Access[]): number => {
  if (access.includes('public')) return 200;
  if (principal.kind === 'anonymous') return 401;
  const wanted = principal.kind === 'service' ? `service:${principal.name}` : principal.kind;
  return access.some((one) => one === wanted) ? 200 : 403;
};

for (const name of CALLERS) {
  test(`api.deny: every route × ${name}`, async () => {
    const { identity, principal } = people.get(name) ?? { identity: undefined, principal: anonymous };
    for (const [path, access] of ROUTES) {
      const { status, body } = await ask(toy, path, identity ? { identity } : {});
      expect({ path, status }).toEqual({ path, status: expected(principal, access) });
      if (status === 200) expect(body).toEqual(principal);
      else expect(body).toMatchObject({ code: status === 401 ? 'unauthenticated' : 'forbidden' });
    }
  });
}

test('api.deny: access is checked before the body is read', async () => {
  const answer = await ask(toy, '/admin/echo', { method: 'POST', body: 'not json', type: 'text/weird' });
  expect(answer).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
});

test('api.deny: a route that does not say who may ask stops the start', () => {
  const app = createHttpServer({ service: 'toy', logger: silent });
  expect(() => app.get('/open', async () => 'hello')).toThrow(/\/open does not say who may ask/);
  expect(() => app.get('/open', { config: { access: [] } }, async () => 'hello')).toThrow(/does not say/);
});

test('a node that enrols or leaves is another principal on the next request of the same connection', async () => {
  const identity = await createSelfSigned('newcomer');
  const id = '22222222-2222-8222-8222-222222222222';
  const agent = agentFor(toy, identity);
  const status = async () => {
    const answer = await agent.request({
      origin: `https://127.0.0.1:${toy.port}`,
      path: '/node',
      method: 'GET',
    });
    await answer.body.dump();
    return answer.statusCode;
  };
  expect(await status()).toBe(401);
  toy.nodes.set(Buffer.from(identity.sha256).toString('hex'), id);
  expect(await status()).toBe(200);
  toy.nodes.delete(Buffer.from(identity.sha256).toString('hex'));
  expect(await status()).toBe(401);
  await agent.destroy();
});

test('a resumed TLS session has the principal of its certificate, or none', async () => {
  const admin = people.get('admin')?.identity;
  const sessions: Buffer[] = [];
  const get = (session?: Buffer) =>
    new Promise<{ text: string; reused: boolean }>((resolve, reject) => {
      const socket = tls.connect({
        port: toy.port,
        host: '127.0.0.1',
        ca: toy.authority.certificate,
        checkServerIdentity: () => undefined,
        ...(admin ? { cert: admin.certificate, key: admin.key } : {}),
        ...(session ? { session } : {}),
      });
      let text = '';
      socket.on('session', (ticket: Buffer) => sessions.push(ticket));
      socket.on('data', (chunk) => {
        text += chunk;
      });
      socket.on('error', reject);
      socket.on('close', () => resolve({ text, reused: socket.isSessionReused() }));
      socket.write('GET /admin HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    });
  const first = await get();
  expect(first.text).toContain('"name":"ada"');
  expect(sessions.length).toBeGreaterThan(0);
  const second = await get(sessions[0]);
  expect(second.text).toContain('"name":"ada"');
});

test('without TLS everybody is anonymous', async () => {
  const app = createHttpServer({ service: 'plain', logger: silent });
  app.get('/public', { config: { access: ['public'] } }, async ({ principal }) => principal);
  app.get('/node', { config: { access: ['node'] } }, async () => 'secret');
  expect((await app.inject('/public')).json()).toEqual(anonymous);
  expect((await app.inject('/node')).statusCode).toBe(401);
  await app.close();
});

test('a service is let in by its own name only', () => {
  expect(mayAccess({ kind: 'service', name: 'verifier' }, ['service:issuer'])).toBe(false);
  expect(mayAccess({ kind: 'admin', name: 'service:issuer' }, ['service:issuer'])).toBe(false);
});

test('a role ends with its certificate, also on a connection that stays open', async () => {
  const admin = people.get('admin')?.identity;
  const certificate = new X509Certificate(admin?.certificate ?? '');
  let now = certificate.validToDate.getTime() - 1;
  const identifier = new Identifier(undefined, () => now);
  const socket = { authorized: true, getPeerX509Certificate: () => certificate };
  expect(await identifier.identify(socket)).toEqual({ kind: 'admin', name: 'ada' });
  now += 1;
  expect(await identifier.identify(socket)).toEqual(anonymous);
});
