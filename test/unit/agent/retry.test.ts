import { expect, test } from 'vitest';
import type { AgentEvent } from '../../../agent/events.ts';
import { agentBackoff, untilDone } from '../../../agent/retry.ts';
import { AssayError } from '../../../core/errors.ts';

const SPAN = { firstMs: 1_000, longestMs: 15_000 };

function world(random = 0.5) {
  const stop = new AbortController();
  const waits: number[] = [];
  const events: AgentEvent[] = [];
  const pause = async (milliseconds: number) => void waits.push(milliseconds);
  const deps = {
    waits: agentBackoff({ random: () => random, pause }, SPAN),
    onEvent: (event: AgentEvent) => void events.push(event),
    signal: stop.signal,
  };
  return { stop, waits, events, deps };
}

test('tries until it works, tells each failure, and waits longer each time', async () => {
  const { waits, events, deps } = world();
  let left = 6;
  const result = await untilDone(
    'tpm',
    async () => {
      left -= 1;
      if (left > 0) throw new AssayError('unavailable', `${left} left`);
      return 'done';
    },
    deps,
  );
  expect(result).toBe('done');
  expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 15_000]);
  expect(events[0]).toEqual({ step: 'trouble', part: 'tpm', code: 'unavailable', message: '5 left' });
  expect(events).toHaveLength(5);
});

test.each([
  [0, 1_000],
  [0.999, 1_249.5],
])('jitter %d never makes a wait shorter than a second', (random, first) => {
  const { deps } = world(random);
  expect(deps.waits.next()).toBeCloseTo(first, 1);
});

test('starts over with short waits after something worked', () => {
  const { deps } = world();
  deps.waits.next();
  deps.waits.next();
  deps.waits.reset();
  expect(deps.waits.next()).toBe(1_000);
});

test('the end of the run is no failure: nothing is told, nothing tried again', async () => {
  const { stop, waits, events, deps } = world();
  let tries = 0;
  const work = async () => {
    tries += 1;
    stop.abort();
    throw new Error('connection closed');
  };
  expect(await untilDone('registrar', work, deps)).toBeUndefined();
  expect(await untilDone('registrar', work, deps)).toBeUndefined();
  expect({ tries, waits, events }).toEqual({ tries: 1, waits: [], events: [] });
});

test('what is no error of ours is told as internal', async () => {
  const { stop, events, deps } = world();
  const work = async () => {
    if (events.length > 0) stop.abort();
    throw new TypeError('bug');
  };
  await untilDone('state', work, deps);
  expect(events).toEqual([{ step: 'trouble', part: 'state', code: 'internal', message: 'bug' }]);
});
