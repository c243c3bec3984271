import { healthRoutes } from '../platform/http/health.ts';
import { describeApi } from '../platform/http/openapi.ts';
import { createHttpServer, type HttpServerOptions } from '../platform/http/server.ts';
import type { Metrics } from '../platform/metrics.ts';
import { adminRoutes } from './routes/admin.ts';
import type { RoutesDeps } from './routes/deps.ts';
import { exposureRoutes } from './routes/exposure.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { publicRoutes } from './routes/public.ts';
import { type RevocationDeps, revocationRoutes } from './routes/revocation.ts';

export type IssuerAppOptions = Pick<
  HttpServerOptions,
  'tls' | 'findNode' | 'logger' | 'publicRequestsPerMinute'
>;

/** The issuer's HTTP interface, not listening yet. */
export async function createIssuerApp(options: IssuerAppOptions, deps: RoutesDeps, metrics: Metrics) {
  const app = createHttpServer({ service: 'issuer', ...options });
  await describeApi(app, 'issuer');
  const databaseAnswers = async () => void (await deps.database.pool.query('SELECT 1'));
  healthRoutes(app, { database: databaseAnswers }, metrics);
  nodeRoutes(app, deps);
  adminRoutes(app, deps);
  exposureRoutes(app, deps);
  publicRoutes(app, deps);
  revocationRoutes(app, deps);
  return app;
}

/** CRLs and OCSP alone, over plain HTTP, not listening yet. */
export async function createRevocationApp(options: Pick<HttpServerOptions, 'logger'>, deps: RevocationDeps) {
  const app = createHttpServer({
    service: 'issuer-revocation',
    publicRequestsPerMinute: REVOCATION_REQUESTS_PER_MINUTE,
    ...options,
  });
  // The rate limit counts routes that are added after it has loaded.
  await app.after();
  revocationRoutes(app, deps);
  return app;
}

/** Many relying parties may come from one address. */
const REVOCATION_REQUESTS_PER_MINUTE = 6000;
