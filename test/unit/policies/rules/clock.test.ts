import { expect, test } from 'vitest';
import { evaluateClock } from '../../../../policies/rules/clock.ts';

const before = { clock: 1_000n, resetCount: 5, restartCount: 2, safe: true };
const judge = (changes: Partial<typeof before>) => {
  const { findings, rebooted } = evaluateClock({ ...before, clock: 1_001n, ...changes }, before);
  return { rules: findings.map(({ rule, message }) => `${rule}: ${message.split(' ')[0]}`), rebooted };
};

test.each([
  ['the clock moved on', {}, [], false],
  [
    'a reset, after which clock and restarts may be less',
    { resetCount: 6, restartCount: 0, clock: 1n },
    [],
    true,
  ],
  ['a restart without a reset', { restartCount: 3 }, [], false],
  ['fewer resets, whatever the clock says', { resetCount: 4 }, ['quote.clock: resetCount'], false],
  ['fewer restarts of one boot', { restartCount: 1 }, ['quote.clock: restartCount'], false],
  ['an earlier clock of one boot', { clock: 999n }, ['quote.clock: clock'], false],
  ['the same clock again', { clock: 1_000n }, ['quote.clock: clock'], false],
])('quote.clock: %s', (_what, changes, rules, rebooted) => {
  expect(judge(changes)).toEqual({ rules, rebooted });
});

test('quote.clock: there is nothing to compare the first quote with', () => {
  expect(evaluateClock(before, undefined)).toEqual({ findings: [], rebooted: false });
});
