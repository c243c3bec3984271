import { describe, expect, test } from 'vitest';
import { firstDelay, nextDelay, retryDelay } from '../../../../verifier/scheduler/timing.ts';

const earliest = () => 0;
const latest = () => 1;

describe('nextDelay', () => {
  test('is the interval, a twentieth more or less', () => {
    expect([nextDelay(10_000, earliest), nextDelay(10_000, latest)]).toEqual([9500, 10_500]);
  });
});

describe('retryDelay', () => {
  test('begins shorter than the interval and doubles up to twice its length', () => {
    const middle = () => 0.5;
    const waits = [1, 2, 3, 4, 5, 6, 7, 500].map((failures) => retryDelay(failures, 30_000, middle));
    expect(waits).toEqual([2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  });

  test('is never so short that it is a busy loop', () => {
    expect(retryDelay(1, 1000, earliest)).toBeGreaterThanOrEqual(375);
  });
});

describe('firstDelay', () => {
  test('spreads trusted nodes over their interval', () => {
    expect([firstDelay(300_000, 30_000, earliest), firstDelay(300_000, 30_000, latest)]).toEqual([0, 30_000]);
  });

  test('asks a node whose trust runs out soon before that', () => {
    expect(firstDelay(4000, 30_000, latest)).toBe(2000);
  });

  test('lets a node that is not trusted wait a second at most', () => {
    expect(firstDelay(-5, 30_000, latest)).toBe(1000);
  });
});
