import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { openSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Agent, request } from 'undici';
import { httpApi } from '../cli/http-api.ts';
import { initialise } from '../cli/init/initialise.ts';
import { readProfile } from '../cli/profile.ts';
import { freePort, useFreePorts } from '../demo/ports.ts';
import { startManagedPostgres } from '../platform/database/managed-postgres.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const READY_MS = 60_000;

/** A process of ours with its log, which is told when it ends early. */
interface Running {
  readonly process: ChildProcess;
  readonly name: string;
}

/** What a process says of itself at /metrics. */
export interface ProcessNumbers {
  readonly at: number;
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Of a verifier: verdicts by outcome, and how late it is. */
  readonly verdicts: Readonly<Record<string, number>>;
  readonly latenessSeconds: number;
  readonly nodes: number;
}

/** An installation in a directory of its own: PostgreSQL (durable), and each service as a process, as in production. */
export class World {
  readonly directory: string;
  readonly #config: string;
  readonly #profile: string;
  readonly #closing: (() => Promise<unknown>)[] = [];
  readonly #databaseUrl: string;

  private constructor(directory: string, config: string, profile: string, databaseUrl: string) {
    this.directory = directory;
    this.#config = config;
    this.#profile = profile;
    this.#databaseUrl = databaseUrl;
  }

  static async create(): Promise<World> {
    // What ships is measured, not the sources.
    execFileSync(process.execPath, ['scripts/build.ts'], { cwd: ROOT, stdio: 'inherit' });
    const directory = await mkdtemp(join(tmpdir(), 'assay-bench-'));
    const made = await initialise({
      ...{ directory: join(directory, 'assay'), trustDomain: 'bench.test', nodesDomain: 'nodes.bench.test' },
      ...{
        groups: ['default'],
        hosts: ['localhost', '127.0.0.1'],
        clock: () => new Date(),
        random: randomBytes,
      },
    });
    await useFreePorts([made.config, made.clientProfile]);
    const socket = await mkdtemp(join(tmpdir(), 'assay-bench-database-'));
    const server = await startManagedPostgres({ directory: socket });
    const url = `postgresql://assay@localhost/assay?host=${encodeURIComponent(socket)}`;
    const world = new World(directory, made.config, made.clientProfile, url);
    world.#closing.push(
      () => rm(directory, { recursive: true, force: true }),
      () => rm(socket, { recursive: true, force: true }),
      () => server.stop(),
    );
    return world;
  }

  get profile(): string {
    return this.#profile;
  }

  async api() {
    const { urls, material } = await readProfile(this.#profile);
    const api = httpApi(urls, material);
    this.#closing.push(() => api.close());
    return api;
  }

  /** A process with some of the services. @returns where its numbers are */
  async serve(name: string, only: readonly ('registrar' | 'verifier' | 'issuer')[]): Promise<ServiceProcess> {
    const config = await this.#configFor(name, only);
    const args = ['dist/assay.js', 'serve', '--config', config.file, '--only', ...only];
    const running = this.#spawn(name, args);
    const { material } = await readProfile(this.#profile);
    const service = new ServiceProcess(name, config.url, material, running.process);
    this.#closing.push(() => service.close());
    await service.ready(READY_MS);
    return service;
  }

  /** The fleet simulator with so many nodes, enrolled. */
  async fleet(nodes: number): Promise<FleetProcess> {
    const args = ['tpm-sim/fleet/main.ts', '--json', '--nodes', String(nodes), '--profile', this.#profile];
    const fleet = new FleetProcess(this.#spawn('fleet', args).process);
    this.#closing.push(() => fleet.close());
    const enrolled = await fleet.answer();
    checkAll(enrolled, nodes);
    return fleet;
  }

  async close(): Promise<void> {
    for (const close of this.#closing.reverse()) await close();
  }

  #spawn(name: string, args: readonly string[]): Running {
    const log = openSync(join(this.directory, `${name}.log`), 'a');
    const child = spawn(process.execPath, args, {
      cwd: ROOT,
      stdio: ['pipe', name === 'fleet' ? 'pipe' : log, log],
      env: { ...process.env, DATABASE_URL: this.#databaseUrl },
    });
    return { process: child, name };
  }

  // A second process of one service listens somewhere else; all else is shared.
  async #configFor(name: string, only: readonly string[]) {
    const text = await readFile(this.#config, 'utf8');
    const [service = ''] = only;
    const at = new RegExp(`(\\n${service}:\\n(?:.*\\n)*?  listen: '127\\.0\\.0\\.1:)(\\d+)`);
    const port = await freePort();
    const moved = name === service || only.length > 1 ? text : text.replace(at, `$1${port}`);
    const listen = at.exec(moved)?.[2] ?? '';
    const file = join(this.directory, 'assay', `${name}.yaml`);
    await writeFile(file, moved);
    return { file, url: `https://localhost:${listen}` };
  }
}

/** A running service process. */
export class ServiceProcess {
  readonly name: string;
  readonly #url: string;
  readonly #process: ChildProcess;
  readonly #agent: Agent;

  constructor(
    name: string,
    url: string,
    { ca, certificate, key }: Awaited<ReturnType<typeof readProfile>>['material'],
    child: ChildProcess,
  ) {
    this.name = name;
    this.#url = url;
    this.#process = child;
    this.#agent = new Agent({ connect: { ca, cert: certificate, key } });
  }

  async ready(withinMs: number): Promise<void> {
    const deadline = Date.now() + withinMs;
    for (;;) {
      if (this.#process.exitCode !== null)
        throw new Error(`${this.name} ended while it started; see its log`);
      const status = await request(`${this.#url}/readyz`, { dispatcher: this.#agent }).then(
        async ({ statusCode, body }) => {
          await body.dump();
          return statusCode;
        },
        () => 0,
      );
      if (status === 200) return;
      if (Date.now() > deadline) throw new Error(`${this.name} was not ready in time; see its log`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async numbers(): Promise<ProcessNumbers> {
    const { body } = await request(`${this.#url}/metrics`, { dispatcher: this.#agent });
    const text = await body.text();
    const value = (name: string) => Number(new RegExp(`^assay_${name} (\\S+)`, 'm').exec(text)?.[1] ?? 0);
    const verdicts = [...text.matchAll(/^assay_verifier_verdicts_total\{outcome="(\w+)"\} (\d+)/gm)];
    return {
      at: performance.now(),
      cpuSeconds: value('process_cpu_seconds_total'),
      residentBytes: value('process_resident_memory_bytes'),
      verdicts: Object.fromEntries(verdicts.map(([, outcome = '', count]) => [outcome, Number(count)])),
      latenessSeconds: value('verifier_lateness_seconds'),
      nodes: value('verifier_nodes'),
    };
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
    await ended(this.#process);
  }
}

/** A running fleet simulator: one line of JSON for each command. */
export class FleetProcess {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#process = child;
    if (!child.stdout) throw new TypeError('the fleet has no standard output');
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async command(line: string): Promise<FleetAnswer> {
    this.#process.stdin?.write(`${line}\n`);
    return this.answer();
  }

  async answer(): Promise<FleetAnswer> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the fleet ended; see its log');
    return JSON.parse(value);
  }

  async close(): Promise<void> {
    this.#process.stdin?.end();
    await ended(this.#process);
  }
}

export interface FleetAnswer {
  readonly outcomes?: Readonly<Record<string, number>>;
  readonly seconds?: number;
  readonly error?: string;
}

/** @throws {Error} unless all nodes did it */
export function checkAll({ outcomes = {}, error }: FleetAnswer, nodes: number): void {
  if (outcomes.ok === nodes) return;
  throw new Error(error ?? `of ${nodes} nodes: ${JSON.stringify(outcomes)}`);
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await new Promise((resolve) => child.once('exit', resolve));
}
