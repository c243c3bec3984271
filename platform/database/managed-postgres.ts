import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { AssayError } from '../../core/errors.ts';
import type { DatabaseConnection } from './index.ts';
import { type BinaryPreference, findBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { awaitPrevious, startServer } from './postgres-process.ts';
import { checkReachable, postgresUser } from './postgres-user.ts';

export { dataDirectoryFor } from './postgres-user.ts';

const run = promisify(execFile);

const DATABASE = 'assay';
const USER = 'assay';
// sockaddr_un holds 107 bytes, of which the name of the socket takes 17.
const LONGEST_SOCKET_DIRECTORY = 90;

export interface ManagedPostgresOptions {
  /** Absolute; made if missing. As root it must be where uid 65534 can get to: see `dataDirectoryFor`. */
  readonly directory: string;
  /** Where the socket goes; must be a short path. Default: the directory itself. */
  readonly socketDirectory?: string;
  /** False only for tests: no fsync. */
  readonly durable?: boolean;
  readonly binaries?: BinaryPreference;
}

export interface ManagedPostgres {
  readonly connection: DatabaseConnection;
  readonly pid: number;
  /** Orderly end. */
  stop(): Promise<void>;
}

/**
 * A PostgreSQL of our own for one process: unix socket only, in a directory that its user alone may enter; durable;
 * gone when we are gone (also when we are killed). The data directory is used again at the next start.
 *
 * @throws {AssayError} `invalid-config` for a directory that cannot serve, `conflict` when another process uses it,
 *   `unavailable` when PostgreSQL is not there or does not start
 */
export async function startManagedPostgres(options: ManagedPostgresOptions): Promise<ManagedPostgres> {
  const { directory, durable = true, binaries: preference = 'auto' } = options;
  const socket = options.socketDirectory ?? directory;
  checkPaths(directory, socket);
  await makeOwned(directory);
  if (socket !== directory) await makeOwned(socket);
  const data = join(directory, 'data');
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => undefined);
  const binaries = await findBinaries(preference, version?.trim());
  if (version === undefined) await initialise(binaries, directory, data, durable);
  await awaitPrevious(data);
  const connection = { host: socket, user: USER, database: DATABASE };
  const server = await startServer({ binaries, data, socket, durable, connection });
  await createDatabase(connection);
  return { connection, pid: server.pid, stop: () => server.stop() };
}

function checkPaths(directory: string, socket: string): void {
  if (!isAbsolute(directory) || !isAbsolute(socket))
    throw new TypeError(`the directory ${directory} is not absolute`);
  if (Buffer.byteLength(socket) > LONGEST_SOCKET_DIRECTORY || /[,"'\\\n]/.test(socket)) {
    throw new AssayError(
      'invalid-config',
      `the path ${socket} cannot hold a unix socket: choose one of at most ${LONGEST_SOCKET_DIRECTORY} bytes, without quotes and commas`,
    );
  }
}

// Ours alone; directories above it that are missing can be entered, but not listed, by others.
async function makeOwned(directory: string): Promise<void> {
  await checkReachable(directory);
  const user = postgresUser();
  await mkdir(directory, { recursive: true, mode: user ? 0o711 : 0o700 });
  if (user) await chown(directory, user.uid, user.gid);
  await chmod(directory, 0o700);
}

// Into another name first: data/ is either whole or not there, however we end.
async function initialise(
  binaries: PostgresBinaries,
  directory: string,
  data: string,
  durable: boolean,
): Promise<void> {
  for (const left of await readdir(directory)) {
    if (left.startsWith('initdb-')) await rm(join(directory, left), { recursive: true, force: true });
  }
  const unfinished = await mkdtemp(join(directory, 'initdb-'));
  const user = postgresUser();
  if (user) await chown(unfinished, user.uid, user.gid);
  const sync = durable ? [] : ['--no-sync'];
  const auth = ['--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions'];
  try {
    await run(binaries.initdb, ['-D', unfinished, '-U', USER, ...auth, ...sync], {
      ...user,
      cwd: '/',
      env: { ...binaries.env, PATH: process.env.PATH },
    });
    await rename(unfinished, data);
  } catch (cause) {
    await rm(unfinished, { recursive: true, force: true });
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AssayError('unavailable', `initdb failed in ${directory}: ${why}`, { cause });
  }
}

async function createDatabase(connection: { host: string; user: string; database: string }): Promise<void> {
  const client = new pg.Client({ ...connection, database: 'postgres' });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [
      connection.database,
    ]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(connection.database)}`);
  } finally {
    await client.end();
  }
}
