import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { initialise } from '../../../cli/init/initialise.ts';
import { addGroup } from '../../../cli/init/maintain.ts';
import type { ServeConfig } from '../../../cli/serve/config.ts';
import { SERVICE_NAMES, type Served } from '../../../cli/serve/names.ts';
import { freePort } from '../../../demo/ports.ts';
import type { DatabaseConnection } from '../../../platform/database/index.ts';

export const GROUP = 'web';

export interface InstallationOptions {
  readonly directory: string;
  readonly connection: DatabaseConnection;
  readonly redis?: string;
  readonly lease: string;
  /** By which nodes reach the services, besides this machine's own names. */
  readonly hosts?: readonly string[];
  /** How long the verifier waits for the answer of a node. */
  readonly timeout?: string;
  /** Where the issuer bans. */
  readonly spire?: NonNullable<ServeConfig['issuer']['spire']>;
  readonly spiffe?: NonNullable<ServeConfig['spiffe']>;
  /** Default: GROUP. With `.full` behind it: a CA for nodes of the full tier of that group. */
  readonly groups?: readonly string[];
}

export interface Installation {
  /** What `assay init` made. */
  readonly directory: string;
  readonly clientProfile: string;
  /** What nodes pin. */
  readonly pin: string;
  /** PEM of the service CA. */
  readonly ca: string;
  /** Where instance 1 of each service is. */
  readonly urls: Readonly<Record<Served, string>>;
  /** Writes the configuration of one more process of a service, at a port of its own. */
  instance(service: Served, number: number): Promise<{ readonly file: string; readonly url: string }>;
}

/** What `assay init` makes, on ports that are free and with times that suit a test. */
export async function install(options: InstallationOptions): Promise<Installation> {
  const { groups = [GROUP] } = options;
  const fullTier = groups.filter((group) => group.endsWith('.full'));
  const made = await initialise({
    directory: join(options.directory, 'assay'),
    ...{ trustDomain: 'e2e.test', nodesDomain: 'nodes.e2e.test' },
    groups: groups.filter((group) => !fullTier.includes(group)),
    ...{
      hosts: ['localhost', '127.0.0.1', ...(options.hosts ?? [])],
      clock: () => new Date(),
      random: randomBytes,
    },
  });
  const config: ServeConfig = parse(await readFile(made.config, 'utf8'));
  config.database.url = urlOf(options.connection);
  if (options.redis !== undefined) config.redis = { url: options.redis };
  config.verifier.lease = options.lease;
  config.verifier.timeout = options.timeout ?? '3s';
  config.issuer.crl = { interval: '1s', lifetime: '1h' };
  for (const group of fullTier) {
    await addGroup({ directory: made.directory, group, clock: () => new Date() });
    Object.assign(config.issuer.groups[group.replace('.full', '')] ?? {}, { 'full-tier-ca': true });
  }
  if (options.spire) config.issuer.spire = options.spire;
  if (options.spiffe) config.spiffe = options.spiffe;
  config.log = { level: 'debug' };
  for (const name of SERVICE_NAMES) Object.assign(config[name], await freePlace());
  const urls = {
    registrar: config.registrar.url,
    verifier: config.verifier.url,
    issuer: config.issuer.url,
  };
  const profile = { ...urls, ca: 'ca.crt', certificate: 'admin.crt', key: 'admin.key' };
  await writeFile(made.clientProfile, stringify(profile));
  return {
    directory: made.directory,
    ...{ clientProfile: made.clientProfile, pin: made.serviceCaPin, urls },
    ca: await readFile(made.serviceCa, 'utf8'),
    async instance(service, number) {
      const own = structuredClone(config);
      if (number > 1) Object.assign(own[service], await freePlace());
      const file = join(made.directory, `${service}-${number}.yaml`);
      await writeFile(file, stringify(own, { aliasDuplicateObjects: false }), { mode: 0o600 });
      return { file, url: own[service].url };
    },
  };
}

async function freePlace(): Promise<{ readonly listen: string; readonly url: string }> {
  const port = await freePort();
  return { listen: `127.0.0.1:${port}`, url: `https://localhost:${port}` };
}

function urlOf(connection: DatabaseConnection): string {
  if ('connectionString' in connection) return connection.connectionString;
  const { host, user, database } = connection;
  return `postgresql://${user}@localhost/${database}?host=${encodeURIComponent(host)}`;
}
