import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startInstallation } from '../fleet/installation.ts';
import { runRegistrar } from '../registrar/running.ts';
import { useDatabase } from '../support/database.ts';
import {
  CALLERS,
  type Caller,
  type CallerName,
  createCallers,
  type EnrolledNode,
  enrolledNode,
} from './callers.ts';
import { declaredRoutes, linesOf, type Route, watchRoutes } from './routes.ts';

/**
 * Every route of the running services × everybody who may come. What is expected stands in docs/openapi.json; what
 * strangers, nodes and viewers may do stands here as well, so that nobody opens a route by writing the file anew.
 */
const SERVICES = ['registrar', 'verifier', 'issuer'] as const;
type Service = (typeof SERVICES)[number];

const FOR_STRANGERS = [
  'GET /crl/{name}.crl',
  'GET /healthz',
  'GET /ocsp/{request}',
  'GET /openapi.json',
  'GET /readyz',
  'GET /v1/authorities',
  'GET /v1/ca',
  'GET /v1/discovery',
  'GET /version',
  'POST /ocsp',
  'POST /v1/enrolments',
  'POST /v1/enrolments/{id}/activation',
  'POST /v2.{minor}/agents',
  'POST /v2.{minor}/agents/{alias}',
  'POST /v2.{minor}/agents/{alias}/activate',
  'PUT /v2.{minor}/agents/{alias}',
  'PUT /v2.{minor}/agents/{alias}/activate',
];
const FOR_NODES = ['GET /v1/nodes/self', 'POST /v1/nodes/self/certificate', 'POST /v1/nodes/self/challenge'];
/** What viewers may call and is no GET: it changes nothing either. */
const ASKED_BY_VIEWERS = ['POST /v1/policies/draft', 'POST /v1/policies/try', 'POST /v1/trust/check'];
const KEYLIME = /^\/v2\./;
const NOBODY = '00000000-0000-8000-8000-000000000000';

const database = useDatabase();
const declared = declaredRoutes();
const watched = watchRoutes();
let installation: Awaited<ReturnType<typeof startInstallation>>;
let callers: Readonly<Record<CallerName, Caller>>;
let node: EnrolledNode;
let other: EnrolledNode;
const agents = new Map<Caller, Agent>();

beforeAll(async () => {
  installation = await startInstallation(database());
  watched.stop();
  [node, other] = [await enrolledNode(database()), await enrolledNode(database())];
  callers = await createCallers(installation.directory, node);
});
afterAll(async () => {
  await Promise.all([...agents.values()].map((agent) => agent.destroy()));
  await installation.close();
});

describe('the table of routes', () => {
  for (const service of SERVICES) {
    test(`api.deny: what the ${service} serves is what docs/openapi.json declares`, () => {
      const served = watched.routes.filter((route) => route.service === service && route.method !== 'HEAD');
      expect(linesOf(served)).toEqual(linesOf(declared.filter((route) => route.service === service)));
    });
  }

  test('api.deny: HEAD is there only beside GET, and for the same callers', () => {
    const gets = watched.routes.filter(({ method }) => method === 'GET');
    const heads = watched.routes.filter(({ method }) => method === 'HEAD');
    const lines = new Set(linesOf(gets));
    expect(heads.length).toBeGreaterThan(20);
    expect(
      linesOf(heads.map((route) => ({ ...route, method: 'GET' }))).filter((line) => !lines.has(line)),
    ).toEqual([]);
  });

  test('api.deny: what strangers, nodes, viewers and services may call is as listed', () => {
    const named = (wanted: (route: Route) => boolean) =>
      [...new Set(declared.filter(wanted).map(({ method, path }) => `${method} ${path}`))].sort();
    const isFor = (role: string) => (route: Route) => route.access.includes(role);
    expect(named(isFor('public'))).toEqual(FOR_STRANGERS);
    expect(named(isFor('node'))).toEqual(FOR_NODES);
    expect(named((route) => isFor('viewer')(route) && route.method !== 'GET')).toEqual(ASKED_BY_VIEWERS);
    expect(named(({ access }) => access.some((role) => role.startsWith('service:')))).toEqual([]);
  });

  test('api.deny: the listener without TLS has public routes alone', async () => {
    const plain = watchRoutes();
    const running = await runRegistrar(database());
    plain.stop();
    const served = plain.routes.filter(({ service }) => service === 'registrar-keylime');
    const known = linesOf(declared.filter(({ service }) => service === 'registrar'));
    expect(served.length).toBeGreaterThan(5);
    expect(served.filter(({ access }) => access.join() !== 'public')).toEqual([]);
    expect(
      linesOf(served.filter(({ method }) => method !== 'HEAD')).filter((line) => !known.includes(line)),
    ).toEqual([]);
    const answer = await request(`${running.registrar.keylimeUrl}/v2.2/agents`);
    expect(answer.statusCode).toBe(404);
    await answer.body.dump();
    await running.close();
  });
});

describe('every route', () => {
  for (const service of SERVICES) {
    for (const name of CALLERS) {
      test(`api.deny: ${service} × ${name}`, async () => {
        const caller = callers[name];
        const routes = watched.routes.filter((route) => route.service === service);
        expect(routes.length).toBeGreaterThan(10);
        const before = await auditEntries();
        for (const route of routes) {
          const access = accessOf(route);
          if (isAllowed(caller, access))
            expect(await allowed(caller, route)).toEqual({ route, isLetIn: true });
          else expect(await refused(caller, route)).toEqual(refusalOf(caller, route));
        }
        expect(await auditEntries()).toBe(before);
      });
    }
  }
});

describe('a node', () => {
  test('api.deny: finds itself at self, and nobody else', async () => {
    for (const one of [node, other]) {
      const answer = await call(one, 'registrar', 'GET', '/v1/nodes/self');
      expect(answer).toMatchObject({ status: 200, body: { nodeId: one.id } });
    }
  });

  test('api.deny: cannot ask for another node by any parameter', () => {
    const open = declared.filter(({ access }) => access.includes('node'));
    expect(open.filter(({ path }) => path.includes('{'))).toEqual([]);
  });

  test("api.deny: gets no certificate for another node's nonce, and its own for its own", async () => {
    const nonceOf = async (one: EnrolledNode) =>
      Object((await call(one, 'issuer', 'POST', '/v1/nodes/self/challenge')).body).nonce;
    const ask = (nonce: string) =>
      call(node, 'issuer', 'POST', '/v1/nodes/self/certificate', { mode: 'delivered', nonce });
    expect(await ask(await nonceOf(other))).toMatchObject({
      status: 404,
      body: { code: 'challenge-unknown' },
    });
    expect(await ask(await nonceOf(node))).toMatchObject({ status: 200, body: { nodeId: node.id } });
  });
});

function accessOf({ service, method, path }: Route): readonly string[] {
  const wanted = method === 'HEAD' ? 'GET' : method;
  const found = declared.find((one) => one.service === service && one.method === wanted && one.path === path);
  return found?.access ?? [];
}

function isAllowed({ role }: Caller, access: readonly string[]): boolean {
  return access.includes('public') || (role !== undefined && access.includes(role));
}

/** Asks for what is nobody's, without a body: it changes nothing, and is found wanting only after it was let in. */
async function allowed(caller: Caller, route: Route) {
  const { status } = await call(caller, serviceOf(route), route.method, fill(route.path, NOBODY));
  return { route, isLetIn: status < 500 && status !== 401 && status !== 403 && status !== 429 };
}

/** Asks for a node that is there, with a body that nobody may get to read. */
async function refused(caller: Caller, route: Route) {
  const body = route.method === 'GET' || route.method === 'HEAD' ? undefined : 'neither JSON nor CSV';
  const answer = await call(caller, serviceOf(route), route.method, fill(route.path, other.id), body);
  return { route, ...answer };
}

function refusalOf({ role }: Caller, route: Route) {
  const [status, code] = isKnown(role, route) ? [403, 'forbidden'] : [401, 'unauthenticated'];
  if (route.method === 'HEAD') return { route, status, body: '' };
  const text = expect.any(String);
  const body = KEYLIME.test(route.path)
    ? { code: status, status: text, results: {} }
    : { type: 'about:blank', status, code, title: text, detail: text, requestId: text };
  return { route, status, body };
}

// A service without routes for nodes looks no node up.
function isKnown(role: string | undefined, { service }: Route): boolean {
  if (role !== 'node') return role !== undefined;
  return declared.some((one) => one.service === service && one.access.includes(role));
}

function serviceOf({ service }: Route): Service {
  const found = SERVICES.find((one) => one === service);
  if (!found) throw new Error(`${service} is not started`);
  return found;
}

function fill(path: string, id: string): string {
  const values: Readonly<Record<string, string>> = {
    minor: '2',
    group: 'web',
    subject: `node:${id}`,
    name: 'nobody',
    sha256: 'ff'.repeat(32),
    alias: `node-${id}`,
  };
  return path.replace(/\{(\w+)\}/g, (_whole, name: string) => values[name] ?? id);
}

async function call(caller: Caller, service: Service, method: string, path: string, body?: unknown) {
  const response = await request(new URL(path, installation.urls[service]), {
    dispatcher: agentOf(caller),
    method,
    headersTimeout: 20_000,
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    headers:
      body === undefined
        ? {}
        : { 'content-type': typeof body === 'object' ? 'application/json' : 'text/unknown' },
  });
  const type = String(response.headers['content-type']);
  if (type.startsWith('text/event-stream')) {
    response.body.on('error', () => {}).destroy();
    return { status: response.statusCode, body: '' };
  }
  const text = await response.body.text();
  return {
    status: response.statusCode,
    body: type.includes('json') && text !== '' ? JSON.parse(text) : text,
  };
}

function agentOf(caller: Caller): Agent {
  const { identity } = caller;
  const made =
    agents.get(caller) ??
    new Agent({
      connect: {
        ca: installation.services.ca,
        ...(identity ? { cert: identity.certificate, key: identity.key } : {}),
      },
    });
  agents.set(caller, made);
  return made;
}

async function auditEntries(): Promise<number> {
  const { rows } = await database().pool.query<{ count: number }>(
    'SELECT count(*)::int AS count FROM audit_log',
  );
  return rows[0]?.count ?? Number.NaN;
}
