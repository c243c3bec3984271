import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startIssuer } from '../../issuer/main.ts';
import { environmentSecret, loadConfig } from '../../platform/config.ts';
import { type Database, type DatabaseConnection, openDatabase } from '../../platform/database/index.ts';
import { dataDirectoryFor, startManagedPostgres } from '../../platform/database/managed-postgres.ts';
import { migrate } from '../../platform/database/migrate.ts';
import type { TlsMaterial } from '../../platform/http/server.ts';
import { Lifecycle } from '../../platform/lifecycle.ts';
import type { Logger, LogLevel } from '../../platform/logging.ts';
import { createMetrics, type Metrics } from '../../platform/metrics.ts';
import { readKeyFile } from '../../platform/pki/key-file.ts';
import { type JobQueue, openJobQueue } from '../../platform/queue/index.ts';
import type { ResultSigner } from '../../platform/results/signer.ts';
import { startRegistrar } from '../../registrar/main.ts';
import { startVerifier } from '../../verifier/main.ts';
import type { ServiceName } from '../api.ts';
import { readCertificate } from '../init/keyed-files.ts';
import { layoutOf } from '../init/layout.ts';
import { ServeConfig } from './config.ts';
import type { Served } from './names.ts';
import { openSpiffe } from './spiffe.ts';

// Beside the bundle, or at the top of a checkout.
const MIGRATIONS =
  ['./migrations', '../../migrations']
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find((directory) => existsSync(directory)) ?? 'migrations';
const CONNECTIONS = 30;

export interface ServeOptions {
  /** assay.yaml; everything else is found from there. */
  readonly configFile: string;
  readonly only: readonly Served[];
  readonly logger: Logger;
  readonly env: NodeJS.ProcessEnv;
}

export interface RunningServices {
  readonly urls: Readonly<Partial<Record<Served, string>>>;
  close(): Promise<void>;
}

/**
 * Starts services in this process, on one connection pool. Without a database URL it runs a PostgreSQL of its own
 * beside the configuration.
 *
 * @throws {AssayError} `invalid-config` with everything that is wrong in the file
 */
export async function startServices(options: ServeOptions): Promise<RunningServices> {
  const { logger, env } = options;
  const directory = dirname(resolve(options.configFile));
  const config = loadConfig(ServeConfig, { file: options.configFile });
  const parts = new Lifecycle(logger);
  try {
    const connection = await openConnection(config, directory, options, parts);
    const database = parts.own('database', openDatabase({ connection, maxConnections: CONNECTIONS, logger }));
    const applied = await migrate(database.pool, MIGRATIONS);
    if (applied.length > 0) logger.info({ applied }, 'schema is up to date');
    const redis = environmentSecret('REDIS_URL', env) ?? config.redis?.url ?? undefined;
    const place =
      redis === undefined
        ? ({ kind: 'postgresql', connection } as const)
        : ({ kind: 'redis', url: redis } as const);
    const queue = parts.own('jobs', openJobQueue({ place, logger }));
    const spiffe = openSpiffe(config, directory, logger, parts);
    const context = { config, directory, database, queue, logger, env, spiffe, metrics: createMetrics() };
    const urls: Partial<Record<Served, string>> = {};
    for (const name of options.only) {
      const service = parts.own(name, await START[name](context));
      urls[name] = service.url;
    }
    return { urls, close: () => parts.close() };
  } catch (error) {
    await parts.close();
    throw error;
  }
}

/** How much the services should say. @throws {AssayError} `invalid-config` with everything that is wrong in the file */
export function logLevelOf(configFile: string): LogLevel {
  return loadConfig(ServeConfig, { file: configFile }).log?.level ?? 'info';
}

interface ServiceContext {
  readonly config: ServeConfig;
  readonly directory: string;
  readonly database: Database;
  readonly queue: JobQueue;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly env: NodeJS.ProcessEnv;
  readonly spiffe: ReturnType<typeof openSpiffe>;
}

type Start = (context: ServiceContext) => Promise<{ readonly url: string; close(): Promise<void> }>;

const clock = () => new Date();

const START: Readonly<Record<Served, Start>> = {
  async registrar({ config, directory, database, logger, metrics, spiffe }) {
    const discovery = {
      trustDomain: config['trust-domain'],
      nodesDomain: config['nodes-domain'],
      registrar: config.registrar.url,
      verifier: config.verifier.url,
      issuer: config.issuer.url,
    };
    const tls = await readTls(directory, 'registrar');
    const ports = { clock, randomBytes, newId: randomUUID, ...spiffe('registrar') };
    return startRegistrar({ config: config.registrar, database, logger, metrics, tls, discovery, ...ports });
  },
  async verifier({ config, directory, database, queue, logger, metrics, spiffe }) {
    const tls = await readTls(directory, 'verifier');
    return startVerifier({
      ...{ config: config.verifier, directory, database, queue, logger, metrics, tls, randomBytes },
      resultSigner: await readResultSigner(directory),
      ...spiffe('verifier'),
    });
  },
  async issuer({ config, directory, database, logger, metrics, env, spiffe }) {
    const passphrase = environmentSecret('ASSAY_PASSPHRASE', env);
    return startIssuer({
      config: config.issuer,
      trustDomain: config['trust-domain'],
      nodesDomain: config['nodes-domain'],
      directory,
      ...(passphrase === undefined ? {} : { passphrase }),
      ...{ database, logger, metrics, clock, randomBytes },
      tls: await readTls(directory, 'issuer'),
      ...spiffe('issuer'),
    });
  },
};

async function readTls(directory: string, service: ServiceName): Promise<TlsMaterial> {
  const pki = join(directory, 'pki');
  const key = await readKeyFile(join(pki, `${service}.key`));
  return {
    certificate: await readFile(join(pki, `${service}.crt`), 'utf8'),
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    clientCa: await readFile(join(pki, 'service-ca.crt'), 'utf8'),
  };
}

/** An installation of a release before has none, until its certificates are renewed. */
async function readResultSigner(directory: string): Promise<ResultSigner | undefined> {
  const { results } = layoutOf(directory);
  if (!existsSync(results.key)) return undefined;
  const privateKey = await readKeyFile(results.key);
  return { privateKey, chain: [await readCertificate(results.certificate)] };
}

async function openConnection(
  config: ServeConfig,
  directory: string,
  { env, logger }: ServeOptions,
  parts: Lifecycle,
): Promise<DatabaseConnection> {
  const url = environmentSecret('DATABASE_URL', env) ?? config.database.url;
  if (url !== undefined && url !== null) return { connectionString: url };
  const place = await dataDirectoryFor(resolve(directory, config.database.directory ?? 'postgres'));
  if (place.reason !== undefined) logger.warn({ directory: place.directory }, place.reason);
  const server = await startManagedPostgres({ directory: place.directory });
  parts.own('postgresql', { close: () => server.stop() });
  return server.connection;
}
