import { type ChildProcess, spawn } from 'node:child_process';
import { readFile, readlink, rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { AssayError } from '../../core/errors.ts';
import { pause } from '../backoff.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { asPostgresUser } from './postgres-user.ts';

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 20_000;
const KEPT_OUTPUT = 4000;

export interface ServerOptions {
  readonly binaries: PostgresBinaries;
  readonly data: string;
  readonly socket: string;
  readonly durable: boolean;
  readonly connection: { readonly host: string; readonly user: string };
}

export interface RunningServer {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts PostgreSQL and waits until it answers. @throws {AssayError} `unavailable` with its last words */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const child = spawnServer(options);
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-KEPT_OUTPUT);
  });
  child.on('error', (error) => {
    output += error.message;
  });
  if (await answers(child, { ...options.connection, database: 'postgres' }))
    return { pid: child.pid ?? 0, stop: () => stop(child) };
  child.kill('SIGQUIT');
  throw new AssayError('unavailable', `PostgreSQL did not start:\n${output.trim()}`);
}

function spawnServer({ binaries, data, socket, durable }: ServerOptions): ChildProcess {
  const settings = [
    'listen_addresses=',
    `unix_socket_directories=${socket}`,
    'unix_socket_permissions=0700',
    'max_connections=200',
    'shared_buffers=64MB',
  ];
  if (!durable) settings.push('fsync=off', 'synchronous_commit=off', 'full_page_writes=off');
  const options = settings.flatMap((setting) => ['-c', setting]);
  // The kernel ends PostgreSQL when we die, however we die.
  const [program, ...args] = asPostgresUser(
    [binaries.postgres, '-D', data, ...options],
    ['--pdeathsig', 'INT'],
  );
  return spawn(program, args, {
    cwd: '/',
    env: { ...binaries.env, PATH: process.env.PATH },
    stdio: ['ignore', 'ignore', 'pipe'],
    // Ctrl-C in a terminal is for us; we stop it in order.
    detached: true,
  });
}

async function answers(child: ChildProcess, connection: pg.ClientConfig): Promise<boolean> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline && isRunning(child)) {
    const client = new pg.Client(connection);
    try {
      await client.connect();
      return true;
    } catch {
      await pause(20);
    } finally {
      await client.end().catch(() => {});
    }
  }
  return false;
}

function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

async function stop(child: ChildProcess): Promise<void> {
  if (!isRunning(child)) return;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGINT');
  const late = setTimeout(() => child.kill('SIGQUIT'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(late);
}

/**
 * Deals with what the last PostgreSQL on `data` left: waits for one that is still closing, and removes a
 * postmaster.pid whose number belongs to nobody or to another program by now, which PostgreSQL would believe.
 *
 * @throws {AssayError} `conflict` when a PostgreSQL goes on using the directory
 */
export async function awaitPrevious(data: string, timeoutMs = STOP_TIMEOUT_MS): Promise<void> {
  const file = join(data, 'postmaster.pid');
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const pid = Number((await readFile(file, 'utf8').catch(() => '')).split('\n')[0]);
    if (!Number.isInteger(pid) || pid <= 0) return;
    if (!(await isPostgresOn(pid, data))) return rm(file, { force: true });
    if (Date.now() >= deadline) {
      throw new AssayError(
        'conflict',
        `PostgreSQL ${pid} already uses ${data}: is another process of ours running on this directory?`,
      );
    }
    await pause(50);
  }
}

async function isPostgresOn(pid: number, data: string): Promise<boolean> {
  const cwd = await readlink(`/proc/${pid}/cwd`).catch(() => undefined);
  if (cwd === data) return true;
  const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  return command.split('\0').includes(data);
}
