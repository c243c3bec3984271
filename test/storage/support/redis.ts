import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.ts';

export interface TestRedis {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * How the tests get a Redis: the one of ASSAY_TEST_REDIS_URL, else one of our own when the program is there.
 * Undefined when there is neither, which is an error with ASSAY_TEST_REDIS=required.
 */
export function findRedis(env = process.env): (() => Promise<TestRedis>) | undefined {
  const url = env.ASSAY_TEST_REDIS_URL;
  if (url) return async () => ({ url, stop: async () => {} });
  const program = (env.PATH ?? '')
    .split(':')
    .map((place) => join(place, 'redis-server'))
    .find((file) => existsSync(file));
  if (program) return () => startRedis(program);
  if (env.ASSAY_TEST_REDIS !== 'required') return undefined;
  throw new Error(
    'ASSAY_TEST_REDIS=required, but there is no Redis: set ASSAY_TEST_REDIS_URL, or apt-get install redis-server',
  );
}

async function startRedis(program: string): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'assay-redis-'));
  const socket = join(directory, 'redis.sock');
  const settings = [
    '--port',
    '0',
    '--unixsocket',
    socket,
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    directory,
  ];
  const child = spawn(program, settings, { stdio: 'ignore' });
  await until('redis-server listens', () => existsSync(socket) || child.exitCode !== null);
  return {
    url: socket,
    async stop() {
      await ended(child);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}
