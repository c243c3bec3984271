import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { type DatabaseConnection, openDatabase } from '../../../platform/database/index.ts';
import { type ManagedPostgres, startManagedPostgres } from '../../../platform/database/managed-postgres.ts';
import { migrate } from '../../../platform/database/migrate.ts';
import { createLogger } from '../../../platform/logging.ts';

const TEMPLATE = 'assay_template';

/**
 * One PostgreSQL for a run: the external one of ASSAY_TEST_DATABASE_URL (whose user may create databases), else one
 * of our own in memory, from the binaries that ASSAY_TEST_POSTGRES (`system`, `embedded`) asks for.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { connection, stop } = await openServer();
  await makeTemplate(connection);
  project.provide('postgres', { connection, template: TEMPLATE });
  return stop;
}

async function openServer(): Promise<{ connection: DatabaseConnection; stop: () => Promise<void> }> {
  const url = process.env.ASSAY_TEST_DATABASE_URL;
  if (url) return { connection: { connectionString: url }, stop: async () => {} };
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = await mkdtemp(join(base, 'assay-test-'));
  const binaries = process.env.ASSAY_TEST_POSTGRES;
  const server: ManagedPostgres = await startManagedPostgres({
    directory,
    durable: false,
    binaries: binaries === 'system' || binaries === 'embedded' ? binaries : 'auto',
  });
  return {
    connection: server.connection,
    async stop() {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function makeTemplate(connection: DatabaseConnection): Promise<void> {
  const logger = createLogger({ level: 'silent', name: 'test' });
  const admin = openDatabase({ connection, logger });
  await admin.pool.query(`DROP DATABASE IF EXISTS ${TEMPLATE}`);
  await admin.pool.query(`CREATE DATABASE ${TEMPLATE}`);
  await admin.close();
  const target =
    'connectionString' in connection
      ? { connectionString: withPath(connection.connectionString) }
      : { ...connection, database: TEMPLATE };
  const template = openDatabase({ connection: target, logger });
  await migrate(template.pool, fileURLToPath(new URL('../../../migrations', import.meta.url)));
  await template.close();
}

function withPath(connectionString: string): string {
  const url = new URL(connectionString);
  url.pathname = `/${TEMPLATE}`;
  return url.toString();
}
