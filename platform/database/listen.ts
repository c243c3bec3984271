import pg from 'pg';
import { backoff } from '../backoff.ts';
import type { Logger } from '../logging.ts';
import type { DatabaseConnection } from './index.ts';

const FIRST_MS = 200;
const LONGEST_MS = 5000;

/** LISTEN on a connection of its own that comes back after PostgreSQL was away. */
export async function listen(
  connection: DatabaseConnection,
  channel: string,
  notify: (payload: string) => void,
  logger: Logger,
): Promise<{ close(): Promise<void> }> {
  const stop = new AbortController();
  let client: pg.Client | undefined;

  // The promise is wrapped: an async function would wait for it.
  const connect = async (): Promise<{ readonly lost: Promise<void> }> => {
    const next = new pg.Client({ ...connection, application_name: `assay listen ${channel}` });
    const lost = new Promise<void>((resolve) => {
      next.on('error', () => resolve());
      next.on('end', () => resolve());
    });
    next.on('notification', (message) => notify(message.payload ?? ''));
    await next.connect();
    await next.query(`LISTEN ${pg.escapeIdentifier(channel)}`);
    client = next;
    notify('');
    return { lost };
  };

  const keep = async (lost: Promise<void>): Promise<void> => {
    await lost;
    const wait = backoff({ firstMs: FIRST_MS, longestMs: LONGEST_MS });
    while (!stop.signal.aborted) {
      await wait.sleep(stop.signal);
      if (stop.signal.aborted) return;
      const again = await connect().catch(
        (error: unknown) => void logger.debug({ err: error, channel }, 'cannot listen yet'),
      );
      if (again) return keep(again.lost);
    }
  };

  const kept = keep((await connect()).lost);
  return {
    async close() {
      stop.abort();
      await client?.end().catch(() => {});
      await kept;
    },
  };
}
