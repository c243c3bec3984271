import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, inject } from 'vitest';
import { type Database, type DatabaseConnection, openDatabase } from '../../../platform/database/index.ts';
import { asAdmin, inDatabase, silent } from './server.ts';

export { migrationsDirectory, silent } from './server.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A server with a migrated template database; see global-setup.ts. */
    postgres: { readonly connection: DatabaseConnection; readonly template: string };
  }
}

export interface TestDatabase extends Database {
  readonly connection: DatabaseConnection;
}

/** A database of its own for each test file: a copy of the migrated template. */
export function useDatabase(): () => TestDatabase {
  let opened: TestDatabase | undefined;
  let drop: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    const made = await createDatabase();
    opened = made.database;
    drop = made.drop;
  });
  afterAll(async () => {
    await opened?.close();
    await drop?.();
  });
  return () => {
    if (!opened) throw new Error('the database is open only while tests run');
    return opened;
  };
}

/** The same for code outside a test file's hooks. `empty` leaves the migrations out. */
export async function createDatabase(options: { readonly empty?: boolean } = {}) {
  const { connection, template } = inject('postgres');
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await asAdmin(connection, [`CREATE DATABASE ${name}${options.empty ? '' : ` TEMPLATE ${template}`}`]);
  const own = inDatabase(connection, name);
  const database = Object.assign(openDatabase({ connection: own, logger: silent }), { connection: own });
  return { database, drop: () => asAdmin(connection, [`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`]) };
}
