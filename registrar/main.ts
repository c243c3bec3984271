import { parseListen } from '../platform/config.ts';
import type { Database } from '../platform/database/index.ts';
import { healthRoutes } from '../platform/http/health.ts';
import { describeApi } from '../platform/http/openapi.ts';
import { type App, createHttpServer, type TlsMaterial } from '../platform/http/server.ts';
import { Lifecycle } from '../platform/lifecycle.ts';
import type { Logger } from '../platform/logging.ts';
import type { Metrics } from '../platform/metrics.ts';
import { enrolmentLimits, type RegistrarConfig } from './config.ts';
import { createEnrolments } from './enrolments.ts';
import { auditRoutes } from './routes/audit.ts';
import type { Discovery, RoutesDeps } from './routes/deps.ts';
import { discoveryRoutes } from './routes/discovery.ts';
import { enrolmentRoutes } from './routes/enrolment.ts';
import { inventoryRoutes } from './routes/inventory.ts';
import { keylimeRoutes } from './routes/keylime.ts';
import { keylimeAdminRoutes } from './routes/keylime-admin.ts';
import { nodeRoutes } from './routes/nodes.ts';
import { tokenRoutes } from './routes/tokens.ts';
import { trustRoutes } from './routes/trust.ts';
import { shippedAnchors } from './shipped-anchors.ts';
import { findByTls } from './store/records.ts';
import { addShippedAnchors } from './store/trust-anchors.ts';
import { openTrustStore } from './trust-store.ts';

export type { RegistrarConfig } from './config.ts';
export type { Discovery } from './routes/deps.ts';

export interface RegistrarDeps {
  readonly config: RegistrarConfig;
  /** Migrated. */
  readonly database: Database;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** `clientCa` is the service CA, which agents pin. */
  readonly tls: TlsMaterial;
  readonly discovery: Discovery;
  readonly clock: () => Date;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly newId: () => string;
}

export interface Registrar {
  readonly url: string;
  /** Of the plain HTTP listener for stock agents, when there is one. */
  readonly keylimeUrl: string | null;
  close(): Promise<void>;
}

/** Starts a registrar: any number of them may share a database. */
export async function startRegistrar(deps: RegistrarDeps): Promise<Registrar> {
  const { config, database, logger, clock } = deps;
  const parts = new Lifecycle(logger);
  try {
    await database.transaction(async (tx) => addShippedAnchors(tx, await shippedAnchors()));
    const trust = parts.own('trust store', await openTrustStore({ database, clock }));
    const limits = enrolmentLimits(config);
    const { randomBytes, newId } = deps;
    const enrolments = createEnrolments({ database, trust, limits, randomBytes, newId });
    const routes: RoutesDeps = { ...deps, enrolments, trust, limits, serviceCa: deps.tls.clientCa };
    const app = parts.own('https', await buildApp(deps, routes));
    const url = await listen(app, config.listen);
    const keylimeUrl = await listenKeylime(parts, deps, routes);
    logger.info({ url, keylimeUrl }, 'registrar listens');
    return { url, keylimeUrl, close: () => parts.close() };
  } catch (error) {
    await parts.close();
    throw error;
  }
}

async function buildApp(deps: RegistrarDeps, routes: RoutesDeps): Promise<App> {
  const { config, database, logger, metrics, tls } = deps;
  const app = createHttpServer({
    service: 'registrar',
    tls,
    logger,
    findNode: (sha256) => findByTls(database.db, sha256),
    publicRequestsPerMinute: config['requests-per-minute'] ?? 600,
  });
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
    add(app, routes);
  }
  healthRoutes(app, { database: async () => void (await database.pool.query('SELECT 1')) }, metrics);
  return app;
}

async function listenKeylime(
  parts: Lifecycle,
  { config, logger }: RegistrarDeps,
  routes: RoutesDeps,
): Promise<string | null> {
  const address = config['keylime-http'] ?? null;
  if (address === null) return null;
  const app = parts.own(
    'keylime http',
    createHttpServer({
      service: 'registrar-keylime',
      logger,
      publicRequestsPerMinute: config['requests-per-minute'] ?? 600,
    }),
  );
  // The rate limit counts routes that are added after it has loaded.
  await app.after();
  keylimeRoutes(app, routes);
  return listen(app, address);
}

async function listen(app: App, address: string): Promise<string> {
  return app.listen(parseListen(address));
}
