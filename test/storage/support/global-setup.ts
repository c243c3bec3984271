import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { TestProject } from 'vitest/node';
import { type DatabaseConnection, openDatabase } from '../../../platform/database/index.ts';
import { type ManagedPostgres, startManagedPostgres } from '../../../platform/database/managed-postgres.ts';
import { migrate } from '../../../platform/database/migrate.ts';
import { scratchDirectory } from './scratch.ts';
import { asAdmin, inDatabase, migrationsDirectory, silent } from './server.ts';

// Of this run: an external server may serve several at once.
const TEMPLATE = `assay_template_${randomBytes(6).toString('hex')}`;

/**
 * One PostgreSQL for a run: the external one of ASSAY_TEST_DATABASE_URL (whose user may create databases), else one
 * of our own in memory, from the binaries that ASSAY_TEST_POSTGRES (`system`, `embedded`) asks for.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { connection, stop } = await openServer();
  await makeTemplate(connection);
  project.provide('postgres', { connection, template: TEMPLATE });
  return async () => {
    await asAdmin(connection, [`DROP DATABASE IF EXISTS ${TEMPLATE} WITH (FORCE)`]);
    await stop();
  };
}

async function openServer(): Promise<{ connection: DatabaseConnection; stop: () => Promise<void> }> {
  const url = process.env.ASSAY_TEST_DATABASE_URL;
  if (url) return { connection: { connectionString: url }, stop: async () => {} };
  const directory = await scratchDirectory('test');
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
  await asAdmin(connection, [`CREATE DATABASE ${TEMPLATE}`]);
  const template = openDatabase({ connection: inDatabase(connection, TEMPLATE), logger: silent });
  await migrate(template.pool, migrationsDirectory);
  await template.close();
}
