import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../../demo/ports.ts';
import { readSvidFiles, type SvidFiles } from '../../../platform/spiffe/svid-files.ts';
import type { SpireAddress } from '../../../platform/spire/connection.ts';
import { until } from '../../e2e/support/until.ts';

const START_MS = 30_000;
const run = promisify(execFile);

export interface SpireOptions {
  /** Has spire-server and spire-agent. */
  readonly binaries: string;
  /** Short: there are sockets in it. */
  readonly directory: string;
  readonly trustDomain: string;
  /** OPA policy in place of the server's own. */
  readonly policyFile?: string;
  /** Default: one that is free. */
  readonly port?: number;
}

/** A program with its log, ended by its pid. */
class Program {
  readonly log: string;
  readonly #child: ChildProcess;
  readonly ended: Promise<number | null>;

  constructor(program: string, args: readonly string[], log: string) {
    this.log = log;
    const out = openSync(log, 'a');
    this.#child = spawn(program, args, { stdio: ['ignore', out, out] });
    closeSync(out);
    this.ended = new Promise((resolve) => this.#child.once('exit', (code) => resolve(code)));
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(name: 'SIGUSR1'): void {
    this.#child.kill(name);
  }

  async stop(): Promise<void> {
    if (this.running) this.#child.kill('SIGTERM');
    await this.ended;
  }
}

/** Configuration of the plugin, with its anchor in a file of that name. */
async function x509popConfig(
  directory: string,
  name: string,
  anchor: string,
  template: string,
): Promise<string> {
  const file = join(directory, `${name}.pem`);
  await writeFile(file, anchor);
  return `ca_bundle_path = "${file}"\nmax_intermediates = 2\nagent_path_template = "${template}"\n`;
}

/** spire-server, as its administrator sees it. */
export class SpireServerProcess {
  readonly options: SpireOptions;
  readonly socket: string;
  readonly port: number;
  readonly #program: Program;
  readonly #template: string;
  #anchors = 0;

  private constructor(options: SpireOptions, port: number, template: string) {
    const { binaries, directory } = options;
    this.options = options;
    this.port = port;
    this.#template = template;
    this.socket = join(directory, 'server.sock');
    const args = ['run', '-config', join(directory, 'server.conf')];
    this.#program = new Program(join(binaries, 'spire-server'), args, join(directory, 'server.log'));
  }

  /**
   * @param anchor PEM of the CA that node certificates chain to
   * @param template agent_path_template
   * @param adminIds SPIFFE IDs that are administrators over TCP
   */
  static async start(
    options: SpireOptions,
    anchor: string,
    template: string,
    adminIds: readonly string[] = [],
  ): Promise<SpireServerProcess> {
    const { directory, trustDomain } = options;
    await mkdir(directory, { recursive: true });
    await writeFile(
      join(directory, 'x509pop.conf'),
      await x509popConfig(directory, 'anchor', anchor, template),
    );
    const { policyFile, port = await freePort() } = options;
    const policy =
      policyFile === undefined
        ? ''
        : `  experimental { auth_opa_policy_engine { local { rego_path = "${policyFile}" } } }\n`;
    await writeFile(
      join(directory, 'server.conf'),
      `server {
  bind_address = "127.0.0.1"
  bind_port = ${port}
  socket_path = "${join(directory, 'server.sock')}"
  trust_domain = "${trustDomain}"
  data_dir = "${directory}"
  log_level = "DEBUG"
  admin_ids = ${JSON.stringify(adminIds)}
  agent_ttl = "1m"
  default_x509_svid_ttl = "1m"
  ratelimit { attestation = false }
${policy}}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3" connection_string = "${join(directory, 'db.sqlite3')}" } }
  KeyManager "memory" { plugin_data {} }
  NodeAttestor "join_token" { plugin_data {} }
  NodeAttestor "x509pop" { plugin_data_file = "${join(directory, 'x509pop.conf')}" }
}
`,
    );
    const server = new SpireServerProcess(options, port, template);
    const healthy = async () => {
      if (!server.#program.running) throw new Error(`spire-server ended:\n${await server.lastWords()}`);
      return server.command('healthcheck').then(
        () => true,
        () => false,
      );
    };
    await until('spire-server is healthy', healthy, START_MS);
    return server;
  }

  /**
   * Changes what nodes must chain to, without a restart: the plugin is configured anew when the text of its file
   * changed, so the anchor gets another name.
   */
  async trust(anchor: string): Promise<void> {
    const { directory } = this.options;
    this.#anchors += 1;
    const config = await x509popConfig(directory, `anchor-${this.#anchors}`, anchor, this.#template);
    await writeFile(join(directory, 'x509pop.conf'), config);
    this.#program.signal('SIGUSR1');
    const reconfigured = async () =>
      (await readFile(this.#program.log, 'utf8')).split('Plugin reconfigured').length > this.#anchors;
    await until('the plugin is configured anew', reconfigured, START_MS);
  }

  /** The server over TCP, as somebody with an SVID: an administrator, if its id is in admin_ids. */
  async addressFor(spiffeId: string): Promise<Extract<SpireAddress, { address: string }>> {
    const identity = readSvidFiles(await this.mint(spiffeId));
    return { address: `127.0.0.1:${this.port}`, svid: { current: () => identity } };
  }

  /** An X509-SVID of SPIRE's own CA. */
  async mint(spiffeId: string): Promise<SvidFiles> {
    const directory = join(this.options.directory, spiffeId.replaceAll(/[^a-z]/g, '-'));
    await mkdir(directory, { recursive: true });
    await this.command('x509', 'mint', '-spiffeID', spiffeId, '-write', directory);
    const at = (name: string) => join(directory, name);
    return { certificate: at('svid.pem'), key: at('key.pem'), bundle: at('bundle.pem') };
  }

  /** spire-server's own command line, over its socket. @returns what it prints */
  async command(...args: string[]): Promise<string> {
    const program = join(this.options.binaries, 'spire-server');
    const { stdout } = await run(program, [...args, '-socketPath', this.socket]);
    return stdout;
  }

  /** For an agent that needs no certificate of ours. @param alias an ID besides its own that entries can hang on */
  async joinToken(alias?: string): Promise<string> {
    const options = alias === undefined ? [] : ['-spiffeID', alias];
    return /Token: (\S+)/.exec(await this.command('token', 'generate', ...options))?.[1] ?? '';
  }

  async agents(): Promise<
    readonly { readonly path: string; readonly banned: boolean; readonly serial: string }[]
  > {
    const listed: { agents?: ListedAgent[] } = JSON.parse(
      await this.command('agent', 'list', '-output', 'json'),
    );
    return (listed.agents ?? []).map(({ id, banned = false, x509svid_serial_number: serial }) => ({
      ...{ path: id.path, banned, serial },
    }));
  }

  async lastWords(): Promise<string> {
    return (await readFile(this.#program.log, 'utf8')).split('\n').slice(-40).join('\n');
  }

  close(): Promise<void> {
    return this.#program.stop();
  }
}

interface ListedAgent {
  readonly id: { readonly path: string };
  readonly banned?: boolean;
  readonly x509svid_serial_number: string;
}

function attestorOf(material: string | object): string {
  if (typeof material !== 'string') return 'NodeAttestor "join_token" { plugin_data {} }';
  const data = `private_key_path = "${material}" certificate_path = "${material}"`;
  return `NodeAttestor "x509pop" { plugin_data { ${data} } }`;
}

/** spire-agent on a node, with the node's certificate and key in one file. */
export class SpireAgentProcess {
  readonly socket: string;
  readonly #program: Program;

  private constructor(binaries: string, directory: string) {
    this.socket = join(directory, 'api.sock');
    const args = ['run', '-config', join(directory, 'agent.conf')];
    this.#program = new Program(join(binaries, 'spire-agent'), args, join(directory, 'agent.log'));
  }

  /**
   * @param material PEM file with key and certificates, or a join token that is used once
   * @param keys on disk its SVID outlives it: started again it does not attest
   */
  static async start(
    server: SpireServerProcess,
    directory: string,
    material: string | { readonly joinToken: string },
    keys: 'memory' | 'disk' = 'memory',
  ): Promise<SpireAgentProcess> {
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, 'bundle.pem'), await server.command('bundle', 'show'));
    await writeFile(
      join(directory, 'agent.conf'),
      `agent {
  server_address = "127.0.0.1"
  server_port = ${server.port}
  socket_path = "${join(directory, 'api.sock')}"
  trust_bundle_path = "${join(directory, 'bundle.pem')}"
  trust_domain = "${server.options.trustDomain}"
  data_dir = "${directory}"
  log_level = "DEBUG"
  ${typeof material === 'string' ? '' : `join_token = "${material.joinToken}"`}
}
plugins {
  ${attestorOf(material)}
  KeyManager "${keys}" { plugin_data { ${keys === 'disk' ? `directory = "${directory}"` : ''} } }
  WorkloadAttestor "unix" { plugin_data {} }
}
`,
    );
    return new SpireAgentProcess(server.options.binaries, directory);
  }

  get running(): boolean {
    return this.#program.running;
  }

  get ended(): Promise<number | null> {
    return this.#program.ended;
  }

  log(): Promise<string> {
    return readFile(this.#program.log, 'utf8');
  }

  /** What a workload of ours gets. @returns PEM of its SVID; @throws when there is none */
  async fetchSvid(server: SpireServerProcess, into: string): Promise<string> {
    await mkdir(into, { recursive: true });
    await this.#fetch(server, '-write', into);
    return readFile(join(into, 'svid.0.pem'), 'utf8');
  }

  /** Who a workload of ours is here; nobody, when it gets nothing. */
  async spiffeIds(server: SpireServerProcess): Promise<readonly string[]> {
    const fetched = await this.#fetch(server, '-output', 'json').catch(() => '{"svids":[]}');
    const { svids }: { svids: { spiffe_id: string }[] } = JSON.parse(fetched);
    return svids.map((svid) => svid.spiffe_id);
  }

  async #fetch({ options: { binaries } }: SpireServerProcess, ...args: string[]): Promise<string> {
    const program = join(binaries, 'spire-agent');
    const fetch = ['api', 'fetch', 'x509', '-socketPath', this.socket, '-timeout', '2s'];
    return (await run(program, [...fetch, ...args])).stdout;
  }

  close(): Promise<void> {
    return this.#program.stop();
  }
}
