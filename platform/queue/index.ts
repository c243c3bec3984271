import { createPostgresBackend, Queue, Worker, withBackend } from 'bullmq';
import { Redis } from 'ioredis';
import type { DatabaseConnection } from '../database/index.ts';
import type { Logger } from '../logging.ts';

/** Work that is not on a clock: told once, done at least once, tried again with backoff. */
export interface JobQueue<Payload> {
  enqueue(payload: Payload, options?: EnqueueOptions): Promise<void>;
  close(): Promise<void>;
}

export interface EnqueueOptions {
  /** Jobs with the same id that still wait are one job. */
  readonly id?: string;
  readonly attempts?: number;
  /** First wait after a failure, doubled each time. */
  readonly backoffMs?: number;
  readonly delayMs?: number;
}

export type JobHandler<Payload> = (payload: Payload) => Promise<void>;

/** Where jobs live: Redis when there is one, else PostgreSQL (schema `bullmq`). */
export type QueueBackend =
  | { readonly kind: 'postgresql'; readonly connection: DatabaseConnection }
  | { readonly kind: 'redis'; readonly url: string };

const ATTEMPTS = 10;
const BACKOFF_MS = 1000;
const KEEP_DONE = 100;
const KEEP_FAILED = 1000;
const CONCURRENCY = 20;

/** Opens a queue, and a worker for it when `handler` is given. Any number of processes may do both. */
export async function openQueue<Payload extends object>(
  name: string,
  backend: QueueBackend,
  logger: Logger,
  handler?: JobHandler<Payload>,
): Promise<JobQueue<Payload>> {
  const parts =
    backend.kind === 'redis'
      ? onRedis(name, backend.url, handler)
      : onPostgres(name, backend.connection, handler);
  // A server that stops makes these emit errors; they reconnect by themselves.
  for (const part of parts.all)
    part.on('error', (error: Error) => logger.warn({ err: error, queue: name }, 'queue connection'));
  await Promise.all(parts.all.map((part) => part.waitUntilReady()));
  return {
    async enqueue(payload, options = {}) {
      await parts.queue.add(name, payload, {
        attempts: options.attempts ?? ATTEMPTS,
        backoff: { type: 'exponential', delay: options.backoffMs ?? BACKOFF_MS },
        removeOnComplete: KEEP_DONE,
        removeOnFail: KEEP_FAILED,
        ...(options.delayMs === undefined ? {} : { delay: options.delayMs }),
        ...(options.id === undefined ? {} : { deduplication: { id: options.id } }),
      });
    },
    async close() {
      await Promise.all(parts.all.map((part) => part.close()));
      await parts.closeConnection();
    },
  };
}

interface Parts {
  readonly queue: { add(name: string, data: object, options: object): Promise<unknown> };
  readonly all: readonly {
    on(event: 'error', listener: (error: Error) => void): unknown;
    waitUntilReady(): Promise<unknown>;
    close(): Promise<void>;
  }[];
  readonly closeConnection: () => Promise<void>;
}

function onPostgres<Payload extends object>(
  name: string,
  connection: DatabaseConnection,
  handler?: JobHandler<Payload>,
): Parts {
  const backed = withBackend(createPostgresBackend);
  const options = { connection: { ...connection, migrate: true } };
  const queue = new backed.Queue(name, options);
  const worker =
    handler &&
    new backed.Worker(name, async (job) => handler(job.data as Payload), {
      ...options,
      concurrency: CONCURRENCY,
    });
  return { queue, all: worker ? [queue, worker] : [queue], closeConnection: async () => {} };
}

function onRedis<Payload extends object>(name: string, url: string, handler?: JobHandler<Payload>): Parts {
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  const queue = new Queue(name, { connection, prefix: 'assay' });
  const worker =
    handler &&
    new Worker(name, async (job) => handler(job.data as Payload), {
      connection,
      prefix: 'assay',
      concurrency: CONCURRENCY,
    });
  connection.on('error', () => {});
  return {
    queue,
    all: worker ? [queue, worker] : [queue],
    closeConnection: async () => {
      connection.disconnect();
    },
  };
}
