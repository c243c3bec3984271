import { healthRoutes } from '../platform/http/health.ts';
import { describeApi } from '../platform/http/openapi.ts';
import { createHttpServer, type HttpServerOptions } from '../platform/http/server.ts';
import type { Metrics } from '../platform/metrics.ts';
import { assignmentRoutes } from './routes/assignments.ts';
import { bundleRoutes } from './routes/bundle.ts';
import type { RoutesDeps } from './routes/deps.ts';
import { digestSetRoutes } from './routes/digest-sets.ts';
import { draftRoutes } from './routes/draft.ts';
import { eventRoutes } from './routes/events.ts';
import { historyRoutes } from './routes/history.ts';
import { measurementRoutes } from './routes/measurements.ts';
import { policyRoutes } from './routes/policies.ts';
import { resultRoutes } from './routes/result.ts';
import { trustRoutes } from './routes/trust.ts';
import { webhookRoutes } from './routes/webhooks.ts';

export type VerifierAppOptions = Pick<HttpServerOptions, 'tls' | 'logger' | 'publicRequestsPerMinute'>;

/** The verifier's HTTP interface, not listening yet. */
export async function createVerifierApp(options: VerifierAppOptions, deps: RoutesDeps, metrics: Metrics) {
  const app = createHttpServer({ service: 'verifier', ...options });
  await describeApi(app, 'verifier');
  healthRoutes(app, { database: async () => void (await deps.database.pool.query('SELECT 1')) }, metrics);
  for (const add of [
    policyRoutes,
    digestSetRoutes,
    draftRoutes,
    assignmentRoutes,
    trustRoutes,
    historyRoutes,
    measurementRoutes,
    resultRoutes,
    bundleRoutes,
    eventRoutes,
    webhookRoutes,
  ]) {
    add(app, deps);
  }
  return app;
}
