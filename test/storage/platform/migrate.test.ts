import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { migrate } from '../../../platform/database/migrate.ts';
import { createDatabase, migrationsDirectory } from '../support/database.ts';

let directory: string;
let made: Awaited<ReturnType<typeof createDatabase>>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'assay-migrations-'));
  await cp(migrationsDirectory, directory, { recursive: true });
  made = await createDatabase({ empty: true });
});

afterEach(async () => {
  await made.database.close();
  await made.drop();
  await rm(directory, { recursive: true });
});

const run = () => migrate(made.database.pool, directory);

test('db.migrate: the second run does nothing', async () => {
  const names = (await readdir(migrationsDirectory)).sort();
  expect(await run()).toEqual(names);
  expect(await run()).toEqual([]);
});

test('db.migrate: of several that start at once one does the work', async () => {
  const results = await Promise.all([run(), run(), run()]);
  expect(results.filter((applied) => applied.length > 0)).toHaveLength(1);
});

test('db.migrate: an edited file is refused', async () => {
  await run();
  const file = join(directory, '0001_init.sql');
  await writeFile(file, `${await readFile(file, 'utf8')}-- later thought\n`);
  await expect(run()).rejects.toThrow(/0001_init.sql was edited/);
});

test('db.migrate: a file that fails changes nothing', async () => {
  await run();
  const number = String((await readdir(directory)).length + 1).padStart(4, '0');
  await writeFile(
    join(directory, `${number}_bad.sql`),
    '-- breaking: no\nCREATE TABLE half (a int); SELECT nonsense;',
  );
  await expect(run()).rejects.toThrow(/changed nothing/);
  const { rows } = await made.database.pool.query("SELECT to_regclass('half') AS half");
  expect(rows[0]).toEqual({ half: null });
});

test('db.migrate: a database of a newer release is refused', async () => {
  await run();
  await made.database.pool.query(
    "INSERT INTO schema_migration (name, sha256) VALUES ('9999_future.sql', 'x')",
  );
  await expect(run()).rejects.toThrow(/9999_future.sql, which this release does not/);
});

test('a gap in the numbers is refused', async () => {
  await writeFile(join(directory, '0099_gap.sql'), '-- breaking: no\n');
  await expect(run()).rejects.toThrow(/numbered without gaps/);
});

test('a file that does not say whether it breaks is refused', async () => {
  const number = String((await readdir(directory)).length + 1).padStart(4, '0');
  await writeFile(join(directory, `${number}_x.sql`), 'SELECT 1;\n');
  await expect(run()).rejects.toThrow(/first line must be/);
});
