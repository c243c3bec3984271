import { setTimeout as sleep } from 'node:timers/promises';
import type { JobQueue } from '../../platform/queue/index.ts';

/** Jobs of one process, in memory: done at once, tried again a few times, forgotten when it closes. */
export function fakeJobQueue(): JobQueue {
  const handlers = new Map<string, (payload: unknown) => Promise<void>>();
  const running = new Set<Promise<void>>();
  let closed = false;
  const attempt = async (name: string, payload: object, attempts: number): Promise<void> => {
    for (let left = attempts; left > 0 && !closed; left -= 1) {
      try {
        return await handlers.get(name)?.(payload);
      } catch {
        await sleep(50);
      }
    }
  };
  return {
    async enqueue(name, payload, { attempts = 10 } = {}) {
      const run = attempt(name, payload, attempts).finally(() => running.delete(run));
      running.add(run);
    },
    async work(name, handler) {
      handlers.set(name, handler);
    },
    async close() {
      closed = true;
      await Promise.all(running);
    },
  };
}
