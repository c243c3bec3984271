import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.ts';

/** A Redis of one test, to be killed. It keeps nothing. */
export class OwnRedis {
  readonly socket: string;
  readonly #directory: string;
  #child: ChildProcess | undefined;

  private constructor(directory: string) {
    this.#directory = directory;
    this.socket = join(directory, 'redis.sock');
  }

  /** @throws when there is no redis-server */
  static async start(): Promise<OwnRedis> {
    const own = new OwnRedis(await mkdtemp(join(tmpdir(), 'assay-redis-')));
    await own.restart();
    return own;
  }

  async restart(): Promise<void> {
    const settings = ['--port', '0', '--unixsocket', this.socket, '--dir', this.#directory];
    const child = spawn('redis-server', [...settings, '--save', '', '--appendonly', 'no'], {
      stdio: 'ignore',
    });
    let fault: Error | undefined;
    child.once('error', (error) => {
      fault = error;
    });
    this.#child = child;
    const listens = async () => {
      if (fault)
        throw new Error(`redis-server does not start (apt-get install redis-server): ${fault.message}`);
      return existsSync(this.socket);
    };
    await until('redis-server listens', listens, 10_000);
  }

  /** With all that it held. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null) return;
    await new Promise((resolve) => {
      child.once('exit', resolve);
      child.kill('SIGKILL');
    });
    await rm(this.socket, { force: true });
  }

  async close(): Promise<void> {
    await this.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }
}
