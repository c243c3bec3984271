import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createLogger } from '../../../platform/logging.ts';
import { type LoopOptions, startLoop } from '../../../platform/loop.ts';

const logger = createLogger({ level: 'silent', name: 'test' });
const options = { name: 'test', intervalMs: 60_000, debounceMs: 30, logger };

function counted(
  more: Partial<LoopOptions> & { readonly work?: (run: number) => Promise<Date | undefined> },
) {
  const runs: number[] = [];
  const run = async () => {
    runs.push(Date.now());
    return more.work?.(runs.length);
  };
  return { loop: startLoop({ ...options, ...more, run }), runs };
}

test('it runs at once, and then not before the interval', async () => {
  const { loop, runs } = counted({});
  await sleep(60);
  await loop.close();
  expect(runs).toHaveLength(1);
});

test('many wake-ups are one run', async () => {
  const { loop, runs } = counted({});
  await sleep(10);
  for (let index = 0; index < 20; index += 1) loop.wake();
  await sleep(200);
  await loop.close();
  expect(runs).toHaveLength(2);
});

test('a wake-up during a run is not lost', async () => {
  const { loop, runs } = counted({ work: async () => void (await sleep(50)) });
  await sleep(10);
  loop.wake();
  await sleep(250);
  await loop.close();
  expect(runs).toHaveLength(2);
});

test('it runs again when the run asks for it', async () => {
  const { loop, runs } = counted({
    work: async (run) => (run === 1 ? new Date(Date.now() + 20) : undefined),
  });
  await sleep(200);
  await loop.close();
  expect(runs).toHaveLength(2);
});

test('after a failure it tries again', async () => {
  const { loop, runs } = counted({
    intervalMs: 20,
    work: async (run) => {
      if (run === 1) throw new Error('no');
      return new Date(Date.now() + 60_000);
    },
  });
  await sleep(200);
  await loop.close();
  expect(runs.length).toBeGreaterThan(1);
});

test('close waits for the run that is under way', async () => {
  let done = false;
  const { loop } = counted({
    work: async () => {
      await sleep(50);
      done = true;
      return undefined;
    },
  });
  await loop.close();
  expect(done).toBe(true);
});
