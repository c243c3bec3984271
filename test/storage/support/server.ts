import { fileURLToPath } from 'node:url';
import pg from 'pg';
import type { DatabaseConnection } from '../../../platform/database/index.ts';
import { createLogger } from '../../../platform/logging.ts';

export const migrationsDirectory = fileURLToPath(new URL('../../../migrations', import.meta.url));
export const silent = createLogger({ level: 'silent', name: 'test' });

/** The same server, another database. */
export function inDatabase(connection: DatabaseConnection, database: string): DatabaseConnection {
  if (!('connectionString' in connection)) return { ...connection, database };
  const url = new URL(connection.connectionString);
  url.pathname = `/${database}`;
  return { connectionString: url.toString() };
}

/** Statements that cannot run in a transaction, on a connection of their own. */
export async function asAdmin(connection: DatabaseConnection, statements: readonly string[]): Promise<void> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
