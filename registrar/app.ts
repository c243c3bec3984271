import { healthRoutes } from '../platform/http/health.ts';
import { describeApi } from '../platform/http/openapi.ts';
import { createHttpServer, type HttpServerOptions } from '../platform/http/server.ts';
import type { Metrics } from '../platform/metrics.ts';
import { auditRoutes } from './routes/audit.ts';
import type { RoutesDeps } from './routes/deps.ts';
import { discoveryRoutes } from './routes/discovery.ts';
import { enrolmentRoutes } from './routes/enrolment.ts';
import { inventoryRoutes } from './routes/inventory.ts';
import { keylimeRoutes } from './routes/keylime.ts';
import { keylimeAdminRoutes } from './routes/keylime-admin.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { trustRoutes } from './routes/trust.ts';

export type RegistrarAppOptions = Pick<
  HttpServerOptions,
  'tls' | 'findNode' | 'logger' | 'publicRequestsPerMinute'
>;

/** The registrar's HTTPS interface, not listening yet. */
export async function createRegistrarApp(options: RegistrarAppOptions, deps: RoutesDeps, metrics: Metrics) {
  const app = createHttpServer({ service: 'registrar', ...options });
  await describeApi(app, 'registrar');
  for (const add of [
    discoveryRoutes,
    enrolmentRoutes,
    keylimeRoutes,
    keylimeAdminRoutes,
    nodeRoutes,
    inventoryRoutes,
    tokenRoutes,
    trustRoutes,
    auditRoutes,
  ]) {
    add(app, deps);
  }
  healthRoutes(app, { database: async () => void (await deps.database.pool.query('SELECT 1')) }, metrics);
  return app;
}
