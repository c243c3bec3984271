import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { AssayError } from '../../core/errors.ts';
import type { Logger } from '../logging.ts';
import { listen } from './listen.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 30_000;

/** Where PostgreSQL is: a URL, or the socket directory of the one that we manage. */
export type DatabaseConnection =
  | { readonly connectionString: string }
  | { readonly host: string; readonly user: string; readonly database: string };

export interface DatabaseOptions {
  readonly connection: DatabaseConnection;
  readonly maxConnections?: number;
  readonly logger: Logger;
}

/** Whatever runs queries: the pool or a transaction on one connection. */
export type Queries = NodePgDatabase<Record<string, never>>;
export type Transaction = Parameters<Parameters<Queries['transaction']>[0]>[0];

/** PostgreSQL for one process. It reconnects by itself; while it is down, queries fail with `unavailable`. */
export interface Database {
  readonly pool: pg.Pool;
  readonly db: Queries;
  /** One transaction; rolled back when `work` throws. @throws {AssayError} `unavailable` when the server is away */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /**
   * Calls `notify` for each NOTIFY on `channel`, and once after every (re)connection, since what was sent while the
   * connection was away is lost: `notify` should look at the state, not at the message.
   */
  listen(channel: string, notify: (payload: string) => void): Promise<{ close(): Promise<void> }>;
  close(): Promise<void>;
}

export function openDatabase(options: DatabaseOptions): Database {
  const { logger } = options;
  const pool = new pg.Pool({
    ...options.connection,
    max: options.maxConnections ?? 10,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'assay',
  });
  // Without a listener a connection that breaks ends the process: the pool listens to idle ones only, so one that is
  // between two statements of a transaction needs its own.
  const onLost = (error: Error) => logger.warn({ err: error }, 'database connection lost');
  pool.on('error', onLost);
  pool.on('connect', (client) => client.on('error', onLost));
  const db: Queries = drizzle(pool);
  return {
    pool,
    db,
    transaction: (work) => db.transaction(work).catch(rethrow),
    listen: (channel, notify) => listen(options.connection, channel, notify, logger),
    close: () => pool.end(),
  };
}

function rethrow(error: unknown): never {
  throw isUnavailable(error)
    ? new AssayError('unavailable', 'the database does not answer; try again', { cause: error })
    : error;
}

const CONNECTION_ERRORS = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOTFOUND', 'EAI_AGAIN'],
  'ENOENT', // the unix socket
]);
// SQLSTATE: connection exceptions, too many connections, shutting down, starting up, our statement timeout, and
// transactions that lost against another one.
const CONNECTION_STATES = /^(08...|53300|57P0[123]|57014|40001|40P01)$/;
const POOL_MESSAGES =
  /timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error/;

/** True when PostgreSQL is away or going away: the same query may work later. */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  if (
    (CONNECTION_ERRORS.has(code) && 'syscall' in error) ||
    CONNECTION_STATES.test(code) ||
    POOL_MESSAGES.test(error.message)
  )
    return true;
  return error.cause !== undefined && isUnavailable(error.cause);
}

/** True for a violated unique constraint (SQLSTATE 23505), of that name if one is given. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  if (!(error instanceof Error)) return false;
  const violated = 'code' in error && error.code === '23505';
  if (violated) return constraint === undefined || ('constraint' in error && error.constraint === constraint);
  return error.cause !== undefined && isUniqueViolation(error.cause, constraint);
}
