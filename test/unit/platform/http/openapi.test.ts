import Type from 'typebox';
import { expect, test } from 'vitest';
import { healthRoutes } from '../../../../platform/http/health.ts';
import { describeApi, exportOpenApi } from '../../../../platform/http/openapi.ts';
import { hoistTitled } from '../../../../platform/http/openapi-components.ts';
import type { Access } from '../../../../platform/http/principal.ts';
import { createHttpServer } from '../../../../platform/http/server.ts';
import { createMetrics, type Metrics } from '../../../../platform/metrics.ts';
import { silent } from './toy-server.ts';

async function service(
  name: string,
  path: string,
  access: readonly Access[],
  metrics: Metrics = createMetrics(false),
) {
  const app = createHttpServer({ service: name, logger: silent });
  await describeApi(app, name);
  healthRoutes(app, { database: async () => {} }, metrics);
  const body = Type.Object({ n: Type.Integer() });
  app.post(path, { config: { access }, schema: { summary: 'Does it', body } }, async () => 'x');
  await app.ready();
  return app;
}

const COMMON = ['/healthz', '/metrics', '/openapi.json', '/readyz'];

test('the document of a service names every route with who may ask', async () => {
  const app = await service('one', '/v1/one', ['admin', 'service:verifier']);
  const document = (await app.inject('/openapi.json')).json();
  expect(document).toMatchObject({
    openapi: '3.1.0',
    components: { securitySchemes: { clientCertificate: { type: 'mutualTLS' } } },
  });
  expect(Object.keys(document.paths).sort()).toEqual([...COMMON, '/v1/one'].sort());
  expect(document.paths['/v1/one'].post).toMatchObject({
    'x-access': ['admin', 'service:verifier'],
    security: [{ clientCertificate: ['admin'] }, { clientCertificate: ['service:verifier'] }],
    tags: ['one'],
  });
  expect(document.paths['/healthz'].get).toMatchObject({ 'x-access': ['public'], security: [] });
  await app.close();
});

test('documents of several services become one', async () => {
  const apps = [await service('one', '/v1/one', ['admin']), await service('two', '/v1/two', ['node'])];
  const [one, two] = ['one', 'two'].map((description) => ({ url: `https://${description}`, description }));
  const document = exportOpenApi(apps, { ...(one && { one }), ...(two && { two }) });
  const paths = Object(document.paths);
  expect(Object.keys(paths)).toEqual([...COMMON, '/v1/one', '/v1/two']);
  expect(paths['/healthz'].get).toMatchObject({ tags: ['one', 'two'], servers: [one, two] });
  expect(paths['/v1/two'].post).toMatchObject({ tags: ['two'], servers: [two] });
  expect(Object(document.components).schemas).toHaveProperty('Problem.properties.code');
  await Promise.all(apps.map((app) => app.close()));
});

test('two services that describe one operation differently are refused', async () => {
  const apps = [await service('one', '/v1/same', ['admin']), await service('two', '/v1/same', ['node'])];
  expect(() => exportOpenApi(apps)).toThrow(/describe POST \/v1\/same differently/);
  await Promise.all(apps.map((app) => app.close()));
});

test('refusals are described by their codes: those of access and schemas, and those that the route names', async () => {
  const app = createHttpServer({ service: 'one', logger: silent });
  await describeApi(app, 'one');
  const body = Type.Object({ n: Type.Integer() });
  app.post(
    '/named',
    { config: { access: ['node'], errors: ['not-trusted', 'conflict'] }, schema: { body } },
    () => 'x',
  );
  app.get('/open', { config: { access: ['public'] } }, () => 'x');
  await app.ready();
  const paths = Object(exportOpenApi([app]).paths);
  const told = (responses: object) =>
    Object.entries(responses).map(([status, { description }]) => `${status} ${description}`);
  expect(told(paths['/named'].post.responses)).toEqual([
    '200 Done',
    '400 Bad request: `invalid-request`',
    '401 Not authenticated: `unauthenticated`',
    '403 Forbidden: `forbidden`, `not-trusted`',
    '409 Conflict: `conflict`',
    '413 Too large: `too-large`',
    'default An error that the caller did not make: `unavailable` (503, try again) or `internal` (500)',
  ]);
  expect(told(paths['/open'].get.responses)).toEqual([
    '200 Done',
    '429 Too many requests: `rate-limited`',
    expect.stringContaining('default'),
  ]);
  await app.close();
});

test('a schema with a title stands once; two under one title are refused', () => {
  const name = { title: 'Name', type: 'string', description: 'a name' };
  const properties = { title: { type: 'string' }, first: name, last: { title: 'Name', type: 'string' } };
  const { value, schemas } = hoistTitled({ body: { title: 'Person', properties } });
  const reference = { $ref: '#/components/schemas/Name' };
  expect(value).toEqual({ body: { $ref: '#/components/schemas/Person' } });
  expect(schemas).toEqual({
    Name: { type: 'string', description: 'a name' },
    Person: { properties: { title: { type: 'string' }, first: reference, last: reference } },
  });
  expect(() => hoistTitled({ name, other: { title: 'Name', type: 'integer' } })).toThrow(/title Name/);
});

test('services of one process share their metrics, which count answers by route and not by address', async () => {
  const metrics = createMetrics(false);
  const apps = [
    await service('one', '/v1/one', ['admin'], metrics),
    await service('two', '/v1/two/:id', ['node'], metrics),
  ];
  await apps[0]?.inject('/healthz');
  await apps[1]?.inject({ method: 'POST', url: '/v1/two/secret', payload: { n: 1 } });
  await apps[1]?.inject('/nowhere');
  const text = await metrics.registry.metrics();
  expect(text).toContain(
    'assay_http_request_seconds_count{service="one",method="GET",route="/healthz",status="200"} 1',
  );
  expect(text).toContain('{service="two",method="POST",route="/v1/two/:id",status="401"} 1');
  expect(text).toContain('{service="two",method="GET",route="unknown",status="404"} 1');
  expect(text).not.toContain('secret');
  expect((await apps[0]?.inject('/metrics'))?.statusCode).toBe(401);
  await Promise.all(apps.map((app) => app.close()));
});

test('a metric cannot be asked for as another kind', () => {
  const metrics = createMetrics(false);
  expect(metrics.counter('x', 'help')).toBe(metrics.counter('x', 'help'));
  expect(() => metrics.gauge('x', 'help')).toThrow(TypeError);
});

test('readiness names what fails, but not why', async () => {
  const app = createHttpServer({ service: 'toy', logger: silent });
  const database = async () => {
    throw new Error('password wrong for secret');
  };
  healthRoutes(app, { database, queue: async () => {} }, createMetrics(false));
  const answer = await app.inject('/readyz');
  expect(answer.statusCode).toBe(503);
  expect(answer.json()).toEqual({ status: 'not ready', checks: { database: 'failing', queue: 'ok' } });
  expect((await app.inject('/healthz')).statusCode).toBe(200);
  await app.close();
});
