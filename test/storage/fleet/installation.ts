import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { httpApi } from '../../../cli/http-api.ts';
import { initialise } from '../../../cli/init/initialise.ts';
import { readProfile } from '../../../cli/profile.ts';
import { SERVICE_NAMES } from '../../../cli/serve/names.ts';
import { startServices } from '../../../cli/serve/services.ts';
import { useFreePorts } from '../../../demo/ports.ts';
import type { DatabaseConnection } from '../../../platform/database/index.ts';
import { silent, type TestDatabase } from '../support/database.ts';

/** Everything that `assay init` and `assay serve` make, in this process and on the test's database. */
export async function startInstallation(database: TestDatabase) {
  const directory = await mkdtemp(join(tmpdir(), 'assay-installation-'));
  const made = await initialise({
    ...{ directory: join(directory, 'assay'), trustDomain: 'example.org', nodesDomain: 'nodes.example.org' },
    ...{ groups: ['web'], hosts: ['localhost', '127.0.0.1'], clock: () => new Date(), random: randomBytes },
  });
  await useFreePorts([made.config, made.clientProfile]);
  const services = await startServices({
    configFile: made.config,
    only: [...SERVICE_NAMES],
    logger: silent,
    env: { DATABASE_URL: urlOf(database.connection) },
  });
  const { urls, material } = await readProfile(made.clientProfile);
  const api = httpApi(urls, material);
  return {
    api,
    urls,
    directory: join(directory, 'assay'),
    /** For nodes. */
    services: { registrar: urls.registrar, issuer: urls.issuer, ca: material.ca },
    async close() {
      await api.close();
      await services.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function urlOf(connection: DatabaseConnection): string {
  if ('connectionString' in connection) return connection.connectionString;
  const { host, user, database } = connection;
  return `postgresql://${user}@localhost/${database}?host=${encodeURIComponent(host)}`;
}
