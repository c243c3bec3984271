import Type from 'typebox';
import type { Metrics } from '../metrics.ts';
import type { App } from './server.ts';

export type ReadinessCheck = () => Promise<void>;

const CHECK_TIMEOUT_MS = 3000;

// Seconds: from an answer out of memory to one that nobody waits for.
const DURATION_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10];

/** Counts and times every answer of a server, by route and status, never by address or id. */
function measureRequests(app: App, metrics: Metrics): void {
  const seconds = metrics.histogram('http_request_seconds', 'Time to answer a request', DURATION_BUCKETS, [
    'service',
    'method',
    'route',
    'status',
  ]);
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    seconds.observe(
      { service: app.service, method: request.method, route, status: String(reply.statusCode) },
      reply.elapsedTime / 1000,
    );
  });
}

/** /healthz: the process runs. /readyz: what it needs answers. /metrics: Prometheus. */
export function healthRoutes(
  app: App,
  checks: Readonly<Record<string, ReadinessCheck>>,
  metrics: Metrics,
): void {
  measureRequests(app, metrics);
  app.get(
    '/healthz',
    {
      config: { access: ['public'] },
      schema: {
        operationId: 'getHealth',
        summary: 'Is the process alive?',
        response: { 200: Type.Object({ status: Type.String() }) },
      },
    },
    async () => ({ status: 'ok' }),
  );
  const Readiness = Type.Object(
    { status: Type.String(), checks: Type.Record(Type.String(), Type.String()) },
    { title: 'Readiness' },
  );
  app.get(
    '/readyz',
    {
      config: { access: ['public'] },
      schema: {
        operationId: 'getReadiness',
        summary: 'Can it work?',
        description: 'Names what does not answer, not why.',
        response: { 200: Readiness, 503: Readiness },
      },
    },
    async (_request, reply) => {
      const results = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => [name, await outcome(check)] as const),
      );
      const ready = results.every(([, result]) => result === 'ok');
      return reply
        .status(ready ? 200 : 503)
        .send({ status: ready ? 'ready' : 'not ready', checks: Object.fromEntries(results) });
    },
  );
  app.get(
    '/metrics',
    {
      config: { access: ['admin', 'viewer'] },
      schema: {
        operationId: 'getMetrics',
        summary: 'Prometheus metrics',
        response: { 200: { content: { 'text/plain': { schema: Type.String() } } } },
      },
    },
    async (_request, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
  );
}

// Why a check fails is for the log of what failed; the world learns only that it did.
async function outcome(check: ReadinessCheck): Promise<'ok' | 'failing'> {
  const late = new Promise<never>((_resolve, reject) => {
    setTimeout(() => reject(new Error('no answer in time')), CHECK_TIMEOUT_MS).unref();
  });
  return Promise.race([check(), late]).then(
    () => 'ok' as const,
    () => 'failing' as const,
  );
}
