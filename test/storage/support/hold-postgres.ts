// A process of its own that holds a PostgreSQL until it is killed: `node hold-postgres.ts DIRECTORY`.
import pg from 'pg';
import { startManagedPostgres } from '../../../platform/database/managed-postgres.ts';

const server = await startManagedPostgres({ directory: process.argv[2] ?? '', durable: false });
const client = new pg.Client(server.connection);
await client.connect();
await client.query('CREATE TABLE held AS SELECT 1 AS value');
console.log(server.pid);
setInterval(() => {}, 60_000);
