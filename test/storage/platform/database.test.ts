import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Database,
  isUnavailable,
  isUniqueViolation,
  openDatabase,
} from '../../../platform/database/index.ts';
import { type ManagedPostgres, startManagedPostgres } from '../../../platform/database/managed-postgres.ts';
import { scratchDirectory } from '../support/scratch.ts';
import { silent } from '../support/server.ts';
import { until } from '../support/until.ts';

let directory: string;
let server: ManagedPostgres;
let database: Database;

const startServer = () => startManagedPostgres({ directory, durable: false });

beforeAll(async () => {
  directory = await scratchDirectory('db');
  server = await startServer();
  database = openDatabase({ connection: server.connection, logger: silent, maxConnections: 3 });
  await database.pool.query('CREATE TABLE item (name text PRIMARY KEY)');
});
afterAll(async () => {
  await database.close();
  await server.stop();
  await rm(directory, { recursive: true, force: true });
});

const count = async () =>
  (await database.pool.query<{ n: number }>('SELECT count(*)::int AS n FROM item')).rows[0]?.n;

test('a transaction is whole or not there, and its connection can be used again', async () => {
  const before = await count();
  for (let time = 0; time < 5; time += 1) {
    const failed = database.transaction(async (tx) => {
      await tx.execute(sql`INSERT INTO item VALUES ('half')`);
      throw new Error('second thought');
    });
    await expect(failed).rejects.toThrow('second thought');
  }
  expect(await count()).toBe(before);
  await database.transaction(async (tx) => void (await tx.execute(sql`INSERT INTO item VALUES ('whole')`)));
  expect(await count()).toBe((before ?? 0) + 1);
});

test('a violated unique constraint is told from other errors', async () => {
  await database.pool.query("INSERT INTO item VALUES ('once')");
  const error: unknown = await database.db
    .execute(sql`INSERT INTO item VALUES ('once')`)
    .catch((caught: unknown) => caught);
  expect(isUniqueViolation(error)).toBe(true);
  expect(isUniqueViolation(error, 'item_pkey')).toBe(true);
  expect(isUniqueViolation(error, 'other')).toBe(false);
  expect(isUnavailable(error)).toBe(false);
  expect(isUnavailable(new Error('plain'))).toBe(false);
  expect(isUnavailable(Object.assign(new Error('no such file'), { code: 'ENOENT' }))).toBe(false);
});

test('a restart of PostgreSQL: queries fail as unavailable, then work; LISTEN comes back and tells so', async () => {
  const heard: string[] = [];
  const listening = await database.listen('news', (payload) => heard.push(payload));
  await database.pool.query("NOTIFY news, 'one'");
  await until('the first is heard', () => heard.includes('one'));
  expect(heard).toEqual(['', 'one']);

  const under = database.transaction(async (tx) => {
    await tx.execute(sql`INSERT INTO item VALUES ('lost')`);
    await server.stop();
    await tx.execute(sql`SELECT 1`);
  });
  await expect(under).rejects.toMatchObject({ code: 'unavailable' });
  await expect(database.transaction(async () => {})).rejects.toMatchObject({ code: 'unavailable' });
  const plain: unknown = await database.db.execute(sql`SELECT 1`).catch((error: unknown) => error);
  expect(isUnavailable(plain)).toBe(true);

  server = await startServer();
  await until('it listens again', () => heard.length === 3);
  await database.pool.query("NOTIFY news, 'two'");
  await until('the second is heard', () => heard.includes('two'));
  expect(heard).toEqual(['', 'one', '', 'two']);
  expect((await database.pool.query("SELECT 1 FROM item WHERE name = 'lost'")).rowCount).toBe(0);
  await listening.close();
});

test('a LISTEN that was closed stays closed', async () => {
  const heard: string[] = [];
  const listening = await database.listen('quiet', (payload) => heard.push(payload));
  await listening.close();
  await database.pool.query("NOTIFY quiet, 'x'");
  await database.pool.query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'assay listen quiet'",
  );
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(heard).toEqual(['']);
  const { rowCount } = await database.pool.query(
    "SELECT 1 FROM pg_stat_activity WHERE application_name = 'assay listen quiet'",
  );
  expect(rowCount).toBe(0);
});

test('a database that is not there is an error of the start, not a wait', async () => {
  const nowhere = openDatabase({
    connection: { host: join(directory, 'nowhere'), user: 'assay', database: 'assay' },
    logger: silent,
  });
  const started = Date.now();
  await expect(nowhere.transaction(async () => {})).rejects.toMatchObject({ code: 'unavailable' });
  await expect(nowhere.listen('news', () => {})).rejects.toThrow();
  expect(Date.now() - started).toBeLessThan(5000);
  await nowhere.close();
});
