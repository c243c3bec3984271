import { parseListen } from '../platform/config.ts';
import type { Database } from '../platform/database/index.ts';
import { createHttpServer, type TlsMaterial } from '../platform/http/server.ts';
import type { SpiffeAccess } from '../platform/http/spiffe-listener.ts';
import { Lifecycle } from '../platform/lifecycle.ts';
import type { Logger } from '../platform/logging.ts';
import type { Metrics } from '../platform/metrics.ts';
import { createRegistrarApp } from './app.ts';
import { enrolmentLimits, type RegistrarConfig } from './config.ts';
import { createEnrolments } from './enrolments.ts';
import type { Discovery, RoutesDeps } from './routes/deps.ts';
import { keylimeRoutes } from './routes/keylime.ts';
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
  readonly spiffe?: SpiffeAccess;
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
    const options = {
      tls: deps.tls,
      logger,
      findNode: (sha256: Uint8Array) => findByTls(database.db, sha256),
      publicRequestsPerMinute: config['requests-per-minute'] ?? 600,
    };
    const app = parts.own('https', await createRegistrarApp(options, routes, deps.metrics));
    const url = await app.listenAt(parseListen(config.listen), deps.spiffe);
    const keylimeUrl = await listenKeylime(parts, deps, routes);
    logger.info({ url, keylimeUrl }, 'registrar listens');
    return { url, keylimeUrl, close: () => parts.close() };
  } catch (error) {
    await parts.close();
    throw error;
  }
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
  return app.listenAt(parseListen(address));
}
