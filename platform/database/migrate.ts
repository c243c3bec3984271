import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { AssayError } from '../../core/errors.ts';
import { isUnavailable } from './index.ts';

// Any constant will do: it is the same in all processes of ours.
const LOCK = 4_711_042;
const FILE = /^(\d{4})_[a-z0-9_]+\.sql$/;

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

/**
 * Brings the schema up to date: numbered SQL files, forward only, each in a transaction. Several processes may
 * start at once; one does the work, the others wait.
 *
 * @returns names of the files that were applied now
 * @throws {AssayError} `conflict` when an applied file was edited or is missing: the schema is then not ours to change
 */
export async function migrate(pool: pg.Pool, directory: string): Promise<string[]> {
  const files = await readMigrations(directory);
  const client = await pool.connect();
  try {
    // Neither the wait for another process nor a long migration is a query that hangs.
    await client.query('SET statement_timeout = 0');
    await client.query('SELECT pg_advisory_lock($1)', [LOCK]);
    return await apply(client, files);
  } finally {
    // The connection is closed: that gives the lock back, whatever state it is in.
    client.release(true);
  }
}

async function apply(client: pg.PoolClient, files: readonly Migration[]): Promise<string[]> {
  await client.query(
    'CREATE TABLE IF NOT EXISTS schema_migration (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const { rows } = await client.query<{ name: string; sha256: string }>(
    'SELECT name, sha256 FROM schema_migration ORDER BY name',
  );
  checkApplied(rows, files);
  const pending = files.slice(rows.length);
  for (const { name, sql, sha256 } of pending) {
    await client.query('BEGIN');
    try {
      await client.query(sql);
      await client.query('INSERT INTO schema_migration (name, sha256) VALUES ($1, $2)', [name, sha256]);
      await client.query('COMMIT');
    } catch (cause) {
      await client.query('ROLLBACK').catch(() => {});
      if (isUnavailable(cause)) throw cause;
      throw new AssayError('conflict', `migration ${name} failed and changed nothing: ${String(cause)}`, {
        cause,
      });
    }
  }
  return pending.map(({ name }) => name);
}

function checkApplied(
  applied: readonly { name: string; sha256: string }[],
  files: readonly Migration[],
): void {
  for (const [index, row] of applied.entries()) {
    const file = files[index];
    if (file?.name !== row.name) {
      throw new AssayError(
        'conflict',
        `the database has migration ${row.name}, which this release does not: was it made by a newer release, or is the file lost?`,
      );
    }
    if (file.sha256 !== row.sha256) {
      throw new AssayError(
        'conflict',
        `migration ${row.name} was edited after it was applied; put the file back`,
      );
    }
  }
}

async function readMigrations(directory: string): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(names.map((name, index) => readMigration(directory, name, index + 1)));
}

async function readMigration(directory: string, name: string, number: number): Promise<Migration> {
  const sql = await readFile(join(directory, name), 'utf8');
  if (Number(FILE.exec(name)?.[1]) !== number) {
    throw new AssayError(
      'invalid-config',
      `${name}: migrations are numbered without gaps, expected ${String(number).padStart(4, '0')}_name.sql`,
    );
  }
  if (!/^-- breaking: (no|yes)\n/.test(sql)) {
    throw new AssayError(
      'invalid-config',
      `${name}: the first line must be "-- breaking: no" or "-- breaking: yes"`,
    );
  }
  return { name, sql, sha256: createHash('sha256').update(sql).digest('hex') };
}
