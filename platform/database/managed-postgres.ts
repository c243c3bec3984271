import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chown, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { AssayError } from '../../core/errors.ts';
import { pause } from '../backoff.ts';
import type { DatabaseConnection } from './index.ts';
import { type BinaryPreference, findBinaries, type PostgresBinaries } from './postgres-binaries.ts';

const run = promisify(execFile);

/** PostgreSQL refuses to run as root; this is `nobody`, who owns nothing else. */
const UNPRIVILEGED_ID = 65534;
const START_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 20_000;
const DATABASE = 'assay';
const USER = 'assay';
const LONGEST_SOCKET_PATH = 100;

export interface ManagedPostgresOptions {
  /** Absolute; made if missing. Its parent must be open to `nobody` when we run as root. */
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
 * A PostgreSQL of our own for one process: unix socket only, durable, gone when we are gone (also when we are
 * killed). The data directory is used again at the next start.
 */
export async function startManagedPostgres(options: ManagedPostgresOptions): Promise<ManagedPostgres> {
  const binaries = await findBinaries(options.binaries ?? 'auto');
  const { directory } = options;
  const data = join(directory, 'data');
  const socket = options.socketDirectory ?? directory;
  if (socket.length > LONGEST_SOCKET_PATH) {
    throw new AssayError(
      'invalid-config',
      `the path ${socket} is too long for a unix socket; choose one of at most ${LONGEST_SOCKET_PATH} characters`,
    );
  }
  await makeOwned(directory);
  await makeOwned(socket);
  await initialise(binaries, data, options.durable ?? true);
  const server = await startServer(binaries, data, socket, options.durable ?? true);
  const connection = { host: socket, user: USER, database: DATABASE };
  await waitUntilReady(server, { ...connection, database: 'postgres' });
  await createDatabase(connection);
  return { connection, pid: server.child.pid ?? 0, stop: () => stop(server.child) };
}

const asRoot = () => process.getuid?.() === 0;
const identity = () => (asRoot() ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {});

async function makeOwned(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if (asRoot()) await chown(directory, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
}

async function initialise(binaries: PostgresBinaries, data: string, durable: boolean): Promise<void> {
  const version = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => undefined);
  if (version !== undefined) return checkVersion(binaries, data, version.trim());
  // A directory without PG_VERSION is what an initdb left that did not finish.
  await rm(data, { recursive: true, force: true });
  const args = ['-D', data, '-U', USER, '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-instructions'];
  await run(binaries.initdb, durable ? args : [...args, '--no-sync'], {
    ...identity(),
    cwd: '/',
    env: { ...binaries.env, PATH: process.env.PATH },
  }).catch((cause: Error) => {
    throw new AssayError('unavailable', `initdb failed in ${data}: ${cause.message}`, { cause });
  });
}

function checkVersion(binaries: PostgresBinaries, data: string, version: string): void {
  if (version === binaries.majorVersion) return;
  throw new AssayError(
    'invalid-config',
    `${data} was made by PostgreSQL ${version}, found is ${binaries.majorVersion}; install PostgreSQL ${version}, or move the data with pg_upgrade or pg_dump`,
  );
}

interface RunningServer {
  readonly child: ChildProcess;
  readonly output: () => string;
}

async function startServer(
  binaries: PostgresBinaries,
  data: string,
  socket: string,
  durable: boolean,
): Promise<RunningServer> {
  const settings = [
    'listen_addresses=',
    `unix_socket_directories=${socket}`,
    'max_connections=200',
    'shared_buffers=64MB',
  ];
  if (!durable) settings.push('fsync=off', 'synchronous_commit=off', 'full_page_writes=off');
  const postgres = [binaries.postgres, '-D', data, ...settings.flatMap((setting) => ['-c', setting])];
  // The kernel ends PostgreSQL when we die, however we die.
  const drop = asRoot()
    ? ['--reuid', String(UNPRIVILEGED_ID), '--regid', String(UNPRIVILEGED_ID), '--clear-groups']
    : [];
  const child = spawn('setpriv', ['--pdeathsig', 'INT', ...drop, ...postgres], {
    cwd: '/',
    env: { ...binaries.env, PATH: process.env.PATH },
    stdio: ['ignore', 'ignore', 'pipe'],
    // Ctrl-C in a terminal is for us; we stop it in order.
    detached: true,
  });
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-4000);
  });
  child.on('error', (error) => {
    output += error.message;
  });
  return { child, output: () => output };
}

async function waitUntilReady(server: RunningServer, connection: pg.ClientConfig): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && server.child.exitCode === null && server.child.pid !== undefined) {
    const client = new pg.Client(connection);
    try {
      await client.connect();
      return;
    } catch {
      await pause(20);
    } finally {
      await client.end().catch(() => {});
    }
  }
  server.child.kill('SIGQUIT');
  throw new AssayError('unavailable', `PostgreSQL did not start:\n${server.output().trim()}`);
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

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGINT');
  const late = setTimeout(() => child.kill('SIGQUIT'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(late);
}
