import { createPostgresBackend, type JobsOptions, Queue, Worker, withBackend } from 'bullmq';
import { Redis } from 'ioredis';
import type { DatabaseConnection } from '../database/index.ts';

const PREFIX = 'assay';

/** BullMQ on one kind of server. */
export interface Backend {
  queue(name: string): Promise<Adder>;
  work(name: string, concurrency: number, handler: (payload: unknown) => Promise<void>): Promise<void>;
  close(): Promise<void>;
}

interface Adder {
  add(name: string, payload: object, options: JobsOptions): Promise<unknown>;
}

interface Part {
  on(event: 'error', listener: (error: Error) => void): unknown;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
}

type OnError = (error: Error) => void;

/** `migrate: true`: BullMQ makes and keeps its own tables, in its own schema. */
export function postgresBackend(connection: DatabaseConnection, onError: OnError): Backend {
  const backed = withBackend(createPostgresBackend);
  const options = { connection: { ...connection, migrate: true } };
  return backendOf(onError, {
    queue: (name) => new backed.Queue(name, options),
    worker: (name, concurrency, handler) =>
      new backed.Worker(name, async (job) => handler(job.data), { ...options, concurrency }),
    disconnect: async () => {},
  });
}

/** One connection for all queues; each worker waits on one of its own, which BullMQ makes. */
export function redisBackend(url: string, onError: OnError): Backend {
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  connection.on('error', onError);
  const options = { connection, prefix: PREFIX };
  return backendOf(onError, {
    queue: (name) => new Queue(name, options),
    worker: (name, concurrency, handler) =>
      new Worker(name, async (job) => handler(job.data), { ...options, concurrency }),
    disconnect: async () => connection.disconnect(),
  });
}

interface Factory {
  queue(name: string): Part & Adder;
  worker(name: string, concurrency: number, handler: (payload: unknown) => Promise<void>): Part;
  disconnect(): Promise<void>;
}

function backendOf(onError: OnError, factory: Factory): Backend {
  const queues = new Map<string, Promise<Part & Adder>>();
  const workers: Part[] = [];
  // A server that stops makes every part emit errors, which would end the process; they reconnect by themselves.
  const ready = async <P extends Part>(part: P): Promise<P> => {
    part.on('error', onError);
    await part.waitUntilReady();
    return part;
  };
  return {
    async queue(name) {
      const known = queues.get(name) ?? ready(factory.queue(name));
      queues.set(name, known);
      return known;
    },
    async work(name, concurrency, handler) {
      const worker = factory.worker(name, concurrency, handler);
      workers.push(worker);
      // Whoever starts while the server is away has other things to do than its jobs.
      void ready(worker).catch(onError);
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.close()));
      const opened = await Promise.allSettled(queues.values());
      await Promise.all(
        opened.map((queue) => (queue.status === 'fulfilled' ? queue.value.close() : undefined)),
      );
      await factory.disconnect();
    },
  };
}
