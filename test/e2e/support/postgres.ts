import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseConnection } from '../../../platform/database/index.ts';
import { type ManagedPostgres, startManagedPostgres } from '../../../platform/database/managed-postgres.ts';
import { scratchDirectory } from '../../storage/support/scratch.ts';
import { asAdmin } from '../../storage/support/server.ts';

/** A PostgreSQL server for one test alone, which it can kill. Its files are as durable as in production. */
export class OwnPostgres {
  readonly directory: string;
  #server: ManagedPostgres;

  private constructor(directory: string, server: ManagedPostgres) {
    this.directory = directory;
    this.#server = server;
  }

  /** @param settings parameters of the whole server, such as `track_commit_timestamp` */
  static async start(settings: Readonly<Record<string, string>> = {}): Promise<OwnPostgres> {
    const directory = await scratchDirectory('e2e-postgres');
    const own = new OwnPostgres(directory, await startManagedPostgres({ directory }));
    const statements = Object.entries(settings).map(
      ([name, value]) => `ALTER SYSTEM SET ${name} = '${value}'`,
    );
    if (statements.length === 0) return own;
    await asAdmin(own.connection, statements);
    await own.#server.stop();
    await own.restart();
    return own;
  }

  get connection(): DatabaseConnection {
    return this.#server.connection;
  }

  /** SIGKILL to the server; its children end by themselves when they notice. */
  async kill(): Promise<void> {
    process.kill(this.#server.pid, 'SIGKILL');
    while (isThere(this.#server.pid)) await sleep(20);
  }

  /** Again on the same files. */
  async restart(): Promise<void> {
    this.#server = await startManagedPostgres({ directory: this.directory });
  }

  async close(): Promise<void> {
    await this.#server.stop();
    await rm(this.directory, { recursive: true, force: true });
  }
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
