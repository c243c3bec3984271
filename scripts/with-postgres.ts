// Runs a command against an external PostgreSQL: the system's binaries, started here, reached by URL.
//   node scripts/with-postgres.ts COMMAND ARGUMENTS…
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startManagedPostgres } from '../platform/database/managed-postgres.ts';

const [command, ...args] = process.argv.slice(2);
if (command === undefined) throw new TypeError('expected a command to run');

const directory = await mkdtemp(join(tmpdir(), 'assay-external-'));
const server = await startManagedPostgres({ directory, durable: false, binaries: 'system' });
try {
  const url = `postgresql://assay@localhost/assay?host=${encodeURIComponent(directory)}`;
  const child = spawn(command, args, {
    stdio: 'inherit',
    env: { ...process.env, ASSAY_TEST_DATABASE_URL: url, ASSAY_TEST_REDIS: 'required' },
  });
  process.exitCode = await new Promise<number>((resolve) => {
    child.on('error', () => resolve(127));
    child.on('exit', (code) => resolve(code ?? 1));
  });
} finally {
  await server.stop();
  await rm(directory, { recursive: true, force: true });
}
