import { expect, test } from 'vitest';
import { couldBeOneTpm } from '../../../../verifier/domain/clone.ts';

const clock = (ms: number, resetCount = 3, restartCount = 0) => ({
  ...{ clock: BigInt(ms), resetCount, restartCount, safe: true },
});
const first = { clock: clock(100_000), asked: 1000, answered: 1020 };
const second = (ms: number, resetCount?: number, restartCount?: number) => ({
  ...{ clock: clock(ms, resetCount, restartCount), asked: 1030, answered: 1060 },
});

test.each([
  ['moved as far as time did', second(100_030), true],
  ['read at the last moment', second(100_060), true],
  ['a little behind what is possible', second(100_004), false],
  ['stands apart by the time between two starts', second(100_400), false],
  ['behind', second(99_000), false],
  ['another boot', second(100_030, 4), false],
  ['another resume', second(100_030, 3, 1), false],
])('id.clone: %s', (_name, other, expected) => {
  expect(couldBeOneTpm(first, other)).toBe(expected);
});
