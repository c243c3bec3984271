import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { afterAll, afterEach, beforeAll } from 'vitest';
import type { Api } from '../../../cli/api.ts';
import { openApi, readProfile } from '../../../cli/profile.ts';
import type { Served } from '../../../cli/serve/names.ts';
import type { BanRecord, CertificateRecord, NodeDetail } from '../../../core/messages/node.ts';
import { parseCrl } from '../../../core/x509/crl.ts';
import { type Database, type DatabaseConnection, openDatabase } from '../../../platform/database/index.ts';
import { Fleet } from '../../../tpm-sim/fleet/fleet.ts';
import { swtpmCaCertificates } from '../../../tpm-sim/swtpm/certificate-authority.ts';
import type { PcrBankName } from '../../../tpm-sim/swtpm/provision.ts';
import { createDatabase, silent } from '../../storage/support/database.ts';
import { scratchDirectory } from '../../storage/support/scratch.ts';
import { GROUP, type Installation, install } from './installation.ts';
import { SwtpmNode } from './node.ts';
import { ServiceProcess } from './service-process.ts';
import { until } from './until.ts';

/** Trust for a little longer than the shortest certificate, so that what ends by time ends within a test. */
export const TRUST_FOR_MS = 40_000;

/** On a machine that is busy with other things, many processes that start at once take their time. */
const READY_MS = 120_000;

/** The policy of every node: fresh quotes of the PCRs that are always required. */
export function policyOf({
  intervalMs = 1_000,
  trustForMs = TRUST_FOR_MS,
  reaction = 'ban',
}: {
  readonly intervalMs?: number;
  readonly trustForMs?: number;
  readonly reaction?: 'ban' | 'stop';
} = {}): string {
  return `assay: policy/v1
name: e2e
freshness: { interval: ${intervalMs}ms, trust-for: ${trustForMs}ms }
reaction: ${reaction}
pcrs: { bank: sha256, require: 0-7 }
`;
}

export interface WorldOptions {
  /** How many processes of these; the others have one. */
  readonly verifiers?: number;
  readonly issuers?: number;
  readonly lease?: string;
  readonly policy?: string;
  readonly hosts?: readonly string[];
  readonly timeout?: string;
  readonly redis?: () => Promise<string | undefined>;
  /** SPIRE servers where the issuer bans. */
  readonly spire?: NonNullable<Parameters<typeof install>[0]['spire']>;
  /** How the services are reached with SVIDs. */
  readonly spiffe?: NonNullable<Parameters<typeof install>[0]['spiffe']>;
  /** As those of an installation. */
  readonly groups?: readonly string[];
  /** Default: a database of its own on the server of this run. */
  readonly database?: () => Promise<DatabaseConnection>;
}

/** Running services, each in a process of its own, as an operator starts them; and nodes. */
export class World {
  readonly directory: string;
  readonly installation: Installation;
  readonly api: Api;
  readonly database: Database;
  readonly #http: Agent;
  readonly #processes = new Map<string, ServiceProcess>();
  readonly #urls = new Map<string, string>();
  readonly #nodes: { close(): Promise<void> }[] = [];
  readonly #nodeNames = new Map<string, number>();
  readonly #drop: () => Promise<void>;
  #trusting: Promise<unknown> | undefined;

  private constructor(
    directory: string,
    installation: Installation,
    api: Api,
    database: Database,
    http: Agent,
    drop: () => Promise<void>,
  ) {
    this.directory = directory;
    this.installation = installation;
    this.api = api;
    this.database = database;
    this.#drop = drop;
    this.#http = http;
  }

  static async start(options: WorldOptions): Promise<World> {
    const directory = await scratchDirectory('e2e');
    const { connection, drop } = await databaseFor(options);
    const redis = await options.redis?.();
    const installation = await install({
      ...{ directory, connection, lease: options.lease ?? '15s' },
      ...(redis === undefined ? {} : { redis }),
      ...(options.hosts === undefined ? {} : { hosts: options.hosts }),
      ...(options.timeout === undefined ? {} : { timeout: options.timeout }),
      ...(options.spire === undefined ? {} : { spire: options.spire }),
      ...(options.spiffe === undefined ? {} : { spiffe: options.spiffe }),
      ...(options.groups === undefined ? {} : { groups: options.groups }),
    });
    await mkdir(join(directory, 'logs'));
    const database = openDatabase({ connection, logger: silent });
    const api = await openApi(installation.clientProfile);
    const { ca, certificate, key } = (await readProfile(installation.clientProfile)).material;
    const http = new Agent({ connect: { ca, cert: certificate, key } });
    const world = new World(directory, installation, api, database, http, drop);
    try {
      await world.#startServices(options);
      return world;
    } catch (error) {
      console.error(await world.lastWords());
      await world.close();
      throw error;
    }
  }

  async #startServices({ verifiers = 1, issuers = 1, policy = policyOf() }: WorldOptions): Promise<void> {
    const counts = { registrar: 1, verifier: verifiers, issuer: issuers };
    const wanted = (['registrar', 'verifier', 'issuer'] as const).flatMap((service) =>
      Array.from({ length: counts[service] }, (_, index) => this.serve(service, index + 1)),
    );
    await Promise.all(wanted);
    await this.setPolicy(policy);
  }

  /** From now on, for all nodes or for one: `node:ID`. */
  async setPolicy(document: string, subject = 'default'): Promise<void> {
    const { name } = await this.api.send<{ name: string }>('verifier', 'POST', '/v1/policies', { document });
    await this.api.send('verifier', 'PUT', '/v1/assignments', { subject, policy: name });
  }

  /** Starts one more process of a service, or again one that ended, and waits until it is ready. */
  async serve(service: Served, number = 1): Promise<string> {
    const name = `${service}-${number}`;
    const { file, url } = await this.installation.instance(service, number);
    this.#urls.set(name, url);
    const args = ['cli/main.ts', 'serve', '--only', service, '--config', file];
    const started = this.run(name, args);
    const isReady = async () => {
      if (!started.running) throw new Error(`${name} ended at once:\n${await started.lastWords()}`);
      return (await this.statusOf(url, '/readyz')) === 200;
    };
    await until(`${name} is ready`, isReady, READY_MS);
    return url;
  }

  /** Where a process serves, such as `issuer-2`. */
  urlOf(name: string): string {
    const url = this.#urls.get(name);
    if (url === undefined) throw new Error(`there is no service ${name}`);
    return url;
  }

  process(name: string): ServiceProcess {
    const found = this.#processes.get(name);
    if (!found) throw new Error(`there is no process ${name}`);
    return found;
  }

  /** Status of a route, as an admin; 0 when nobody answers. */
  async statusOf(url: string, path: string): Promise<number> {
    try {
      const { statusCode, body } = await request(`${url}${path}`, {
        ...{ dispatcher: this.#http, headersTimeout: 10_000, bodyTimeout: 10_000 },
      });
      await body.dump();
      return statusCode;
    } catch {
      return 0;
    }
  }

  /** A node that was never seen before, with its agent not started. */
  async node(name: string, pcrBanks: PcrBankName[] = ['sha256']): Promise<SwtpmNode> {
    const ca = join(this.directory, 'manufacturer');
    // A test that is tried again finds the directory of its first try.
    const tries = this.#nodeNames.get(name) ?? 0;
    this.#nodeNames.set(name, tries + 1);
    const directory = join(this.directory, tries === 0 ? name : `${name}-${tries + 1}`);
    const services = { ...this.installation.urls, ...this.installation };
    const node = await SwtpmNode.make({ name, directory, services, ca, pcrBanks });
    this.#nodes.push(node);
    this.#trusting ??= this.#trust(ca);
    await this.#trusting;
    return node;
  }

  /** Some program of this repository, that ends with the services. */
  run(name: string, args: readonly string[]): ServiceProcess {
    const started = ServiceProcess.start(name, args, join(this.directory, 'logs', `${name}.log`));
    this.#processes.set(name, started);
    return started;
  }

  /** The same, enrolled with a join token, trusted, and with its certificate. */
  async trustedNode(name: string): Promise<SwtpmNode> {
    const node = await this.node(name);
    await node.start({ token: await this.token() });
    await node.events.until('material-written');
    return node;
  }

  /** A copy of a node, running on a TPM of its own. */
  async bootCopy(options: SwtpmNode['options']): Promise<SwtpmNode> {
    const node = await SwtpmNode.boot(options);
    this.#nodes.push(node);
    return node;
  }

  /** Simulated nodes, admitted by the inventory and enrolled. Each fleet listens on a network of its own. */
  async fleet(size: number, issuer: () => string = () => this.installation.urls.issuer): Promise<Fleet> {
    const { urls, ca } = this.installation;
    const services = {
      ...{ registrar: urls.registrar, ca },
      get issuer() {
        return issuer();
      },
    };
    // Test files run beside each other.
    const network = 2 + (process.pid % 250);
    const fleet = await Fleet.start({ services, size, network });
    this.#nodes.push(fleet);
    await this.api.send('registrar', 'POST', '/v1/trust', { pem: fleet.manufacturer.root });
    await this.api.sendText('registrar', '/v1/inventory', fleet.inventory(GROUP), 'text/csv');
    const enrolled = await fleet.each((node) => node.enrol());
    if (enrolled.ok !== size) throw new Error(`the fleet did not enrol: ${JSON.stringify(enrolled)}`);
    return fleet;
  }

  async token(group = GROUP): Promise<string> {
    const body = { group, ttl: '10m' };
    return (await this.api.send<{ token: string }>('registrar', 'POST', '/v1/tokens', body)).token;
  }

  detail(nodeId: string): Promise<NodeDetail> {
    return this.api.get<NodeDetail>('registrar', `/v1/nodes/${nodeId}`);
  }

  async untilState(nodeId: string, state: NodeDetail['state'], timeoutMs = 30_000): Promise<NodeDetail> {
    let last: NodeDetail | undefined;
    const look = async () => {
      last = await this.detail(nodeId);
      return last.state === state;
    };
    await until(`${nodeId} is ${state}`, look, timeoutMs).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${last?.state}: ${JSON.stringify(last?.reasons)}`);
    });
    return last ?? this.detail(nodeId);
  }

  /** Newest first. */
  async certificates(nodeId: string): Promise<CertificateRecord[]> {
    const query = { node: nodeId };
    return (await this.api.get<{ certificates: CertificateRecord[] }>('issuer', '/v1/certificates', query))
      .certificates;
  }

  async ban(nodeId: string): Promise<BanRecord | undefined> {
    const { bans } = await this.api.get<{ bans: BanRecord[] }>('issuer', '/v1/bans');
    return bans.find((ban) => ban.nodeId === nodeId);
  }

  /** Serials on the CRL that an issuer serves now, hex. */
  async crl(issuer = this.installation.urls.issuer): Promise<ReadonlySet<string>> {
    const { body } = await request(`${issuer}/crl/${GROUP}.crl`, { dispatcher: this.#http });
    return new Set(parseCrl(new Uint8Array(await body.arrayBuffer())).revoked.keys());
  }

  async lastWords(): Promise<string> {
    const words = await Promise.all([...this.#processes.values()].map((one) => one.lastWords()));
    return words.join('\n');
  }

  async closeNodes(): Promise<void> {
    for (const node of this.#nodes.splice(0)) await node.close().catch(console.error);
  }

  async close(keepFiles = false): Promise<void> {
    await this.closeNodes();
    await this.api.close();
    await this.#http.destroy();
    await Promise.all([...this.#processes.values()].map((one) => one.stop()));
    await this.database.close();
    await this.#drop();
    if (!keepFiles) await rm(this.directory, { recursive: true, force: true });
  }

  async #trust(ca: string): Promise<void> {
    const { root, issuer } = await swtpmCaCertificates(ca);
    await this.api.send('registrar', 'POST', '/v1/trust', { pem: `${root}${issuer}` });
  }
}

async function databaseFor({ database }: WorldOptions) {
  if (database) return { connection: await database(), drop: async () => {} };
  const { database: own, drop } = await createDatabase();
  await own.close();
  return { connection: own.connection, drop };
}

/** Services for the tests of a file. When one fails, it shows what they said last, and their logs stay. */
export function useWorld(options: WorldOptions = {}): () => World {
  let world: World | undefined;
  let failed = false;
  beforeAll(async () => {
    world = await World.start(options);
  });
  afterEach(async ({ task }) => {
    if (task.result?.state === 'fail') {
      failed = true;
      console.error(await world?.lastWords());
    }
    await world?.closeNodes();
  });
  afterAll(() => world?.close(failed));
  return () => {
    if (!world) throw new Error('the services run only while tests run');
    return world;
  };
}
