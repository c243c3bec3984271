import type { DatabaseConnection } from '../database/index.ts';
import type { Logger } from '../logging.ts';
import { type Backend, postgresBackend, redisBackend } from './backends.ts';

/**
 * Work that is not on a clock: told once, done at least once, tried again with backoff. Any number of processes may
 * enqueue and work. Polls of nodes are not jobs: see leases.ts.
 */
export interface JobQueue {
  enqueue(name: string, payload: object, options?: EnqueueOptions): Promise<void>;
  /** Starts doing the jobs of that name here. A handler that throws is called again later, and checks its payload. */
  work(name: string, handler: JobHandler, options?: WorkOptions): Promise<void>;
  /** Waits for the jobs under way. */
  close(): Promise<void>;
}

interface EnqueueOptions {
  readonly delayMs?: number;
  readonly attempts?: number;
  /** First wait after a failure, doubled each time. */
  readonly backoffMs?: number;
  /** Jobs with the same id that are not done yet are one job. */
  readonly dedupeId?: string;
}

interface WorkOptions {
  readonly concurrency?: number;
}

type JobHandler = (payload: unknown) => Promise<void>;

/** Where jobs live: Redis when there is one, else PostgreSQL (schema `bullmq`). */
export type QueuePlace =
  | { readonly kind: 'postgresql'; readonly connection: DatabaseConnection }
  | { readonly kind: 'redis'; readonly url: string };

export interface QueueOptions {
  readonly place: QueuePlace;
  readonly logger: Logger;
}

const ATTEMPTS = 10;
const BACKOFF_MS = 1000;
const CONCURRENCY = 10;
// What is kept of jobs that are over, for people to look at.
const KEEP = { removeOnComplete: 100, removeOnFail: 1000 };

export function openJobQueue({ place, logger }: QueueOptions): JobQueue {
  const onError = (error: Error) => logger.warn({ err: error }, 'job queue connection');
  const backend: Backend =
    place.kind === 'redis' ? redisBackend(place.url, onError) : postgresBackend(place.connection, onError);
  return {
    async enqueue(name, payload, options = {}) {
      const queue = await backend.queue(name);
      await queue.add(name, payload, {
        ...KEEP,
        attempts: options.attempts ?? ATTEMPTS,
        backoff: { type: 'exponential', delay: options.backoffMs ?? BACKOFF_MS },
        ...(options.delayMs === undefined ? {} : { delay: options.delayMs }),
        ...(options.dedupeId === undefined ? {} : { deduplication: { id: options.dedupeId } }),
      });
    },
    async work(name, handler, { concurrency = CONCURRENCY } = {}) {
      await backend.work(name, concurrency, (payload) =>
        handler(payload).catch((error: unknown) => {
          logger.warn({ err: error, job: name }, 'job failed');
          throw error;
        }),
      );
    },
    close: () => backend.close(),
  };
}
