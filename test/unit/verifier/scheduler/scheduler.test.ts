import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createLogger } from '../../../../platform/logging.ts';
import { NOT_IN_HEAP } from '../../../../verifier/scheduler/due-heap.ts';
import { type Scheduled, Scheduler } from '../../../../verifier/scheduler/scheduler.ts';

interface Item extends Scheduled {
  readonly name: string;
}

const item = (name: string, warm = true): Item => ({
  ...{ name, warm, due: 0, heapIndex: NOT_IN_HEAP },
  ...{ inFlight: false, waiting: false, again: false, gone: false },
});

/** A clock that is turned by hand, and polls that end when they are told. */
function bench(limits: { concurrency?: number; cold?: number } = {}) {
  let now = 0;
  let timer: { at: number; wake: () => void } | undefined;
  let timers = 0;
  const started: string[] = [];
  const running = new Map<string, (delay: number | Error) => void>();
  const scheduler = new Scheduler<Item>({
    now: () => now,
    setTimer(wake, ms) {
      const mine = { at: now + ms, wake };
      timer = mine;
      timers += 1;
      return () => {
        if (timer === mine) timer = undefined;
      };
    },
    concurrency: limits.concurrency ?? 10,
    coldConcurrency: limits.cold ?? 10,
    poll: ({ name }) => {
      started.push(name);
      return new Promise((resolve, reject) => {
        running.set(name, (delay) => (delay instanceof Error ? reject(delay) : resolve(delay)));
      });
    },
    delayAfterError: 500,
    logger: createLogger({ level: 'silent', name: 'test' }),
  });
  return {
    scheduler,
    started,
    timers: () => timers,
    async advance(ms: number) {
      const end = now + ms;
      while (timer && timer.at <= end) {
        now = timer.at;
        const { wake } = timer;
        timer = undefined;
        wake();
        await turn();
      }
      now = end;
    },
    async finish(name: string, delay: number | Error) {
      running.get(name)?.(delay);
      running.delete(name);
      await turn();
    },
  };
}

describe('Scheduler', () => {
  test('polls each item when it is due, in order', async () => {
    const { scheduler, started, advance } = bench();
    scheduler.schedule(item('late'), 300);
    scheduler.schedule(item('soon'), 100);
    await advance(99);
    expect(started).toEqual([]);
    await advance(1);
    expect(started).toEqual(['soon']);
    await advance(200);
    expect(started).toEqual(['soon', 'late']);
  });

  test('counts the interval from the start of the poll', async () => {
    const { scheduler, started, advance, finish } = bench();
    scheduler.schedule(item('a'), 0);
    await advance(400);
    await finish('a', 1000);
    await advance(599);
    expect(started).toEqual(['a']);
    await advance(1);
    expect(started).toEqual(['a', 'a']);
  });

  test('asks at once after a poll that took longer than its interval, not more often', async () => {
    const { scheduler, started, advance, finish } = bench();
    scheduler.schedule(item('a'), 0);
    await advance(5000);
    await finish('a', 1000);
    expect(started).toEqual(['a', 'a']);
  });

  test('never has more under way than the limit, and goes on when one ends', async () => {
    const { scheduler, started, finish } = bench({ concurrency: 2 });
    for (const name of ['a', 'b', 'c']) scheduler.schedule(item(name), 0);
    expect(started).toEqual(['a', 'b']);
    await finish('a', 1000);
    expect(started).toEqual(['a', 'b', 'c']);
  });

  test('lets open connections pass those that wait for a handshake', async () => {
    const { scheduler, started, finish } = bench({ cold: 1 });
    for (const name of ['cold 1', 'cold 2']) scheduler.schedule(item(name, false), 0);
    scheduler.schedule(item('warm'), 0);
    expect(started).toEqual(['cold 1', 'warm']);
    await finish('cold 1', 1000);
    expect(started).toEqual(['cold 1', 'warm', 'cold 2']);
  });

  test('never polls an item twice at a time; a request meanwhile is done after', async () => {
    const { scheduler, started, finish } = bench();
    const one = item('a');
    scheduler.schedule(one, 0);
    scheduler.schedule(one, 0);
    scheduler.schedule(one, 0);
    expect(started).toEqual(['a']);
    await finish('a', 60_000);
    expect(started).toEqual(['a', 'a']);
    await finish('a', 60_000);
    expect(started).toEqual(['a', 'a']);
  });

  test('an item that stands in line is started once, however often it is scheduled', async () => {
    const { scheduler, started, finish } = bench({ cold: 1 });
    const waiting = item('b', false);
    scheduler.schedule(item('a', false), 0);
    scheduler.schedule(waiting, 0);
    scheduler.schedule(waiting, 0);
    await finish('a', 60_000);
    await finish('b', 60_000);
    expect(started).toEqual(['a', 'b']);
  });

  test('a removed item is not polled again, also when it was under way or in line', async () => {
    const { scheduler, started, advance, finish } = bench({ cold: 1 });
    const [running, waiting, later] = [item('a', false), item('b', false), item('c')];
    scheduler.schedule(running, 0);
    scheduler.schedule(waiting, 0);
    scheduler.schedule(later, 10);
    for (const one of [running, waiting, later]) scheduler.remove(one);
    await finish('a', 0);
    await advance(100_000);
    expect(started).toEqual(['a']);
  });

  test('api.total: a poll that throws is tried again later, and others go on', async () => {
    const { scheduler, started, advance, finish } = bench();
    scheduler.schedule(item('bad'), 0);
    scheduler.schedule(item('good'), 100);
    await finish('bad', new Error('a fault'));
    await advance(100);
    expect(started).toEqual(['bad', 'good']);
    await advance(400);
    expect(started).toEqual(['bad', 'good', 'bad']);
  });

  test('starts nothing while it is paused', async () => {
    const { scheduler, started, advance } = bench();
    scheduler.pause();
    scheduler.schedule(item('a'), 0);
    await advance(1000);
    expect(started).toEqual([]);
    scheduler.resume();
    expect(started).toEqual(['a']);
  });

  test('sleeps until the next is due: no busy loop', async () => {
    const { scheduler, advance, timers } = bench();
    scheduler.schedule(item('a'), 50_000.5);
    await advance(50_000);
    expect(timers()).toBe(1);
  });

  test('closing waits for what is under way', async () => {
    const { scheduler, finish } = bench();
    scheduler.schedule(item('a'), 0);
    let closed = false;
    const closing = scheduler.close().then(() => {
      closed = true;
    });
    await turn();
    expect(closed).toBe(false);
    await finish('a', 0);
    await closing;
  });
});
