import { expect, test } from 'vitest';
import { evaluateClock } from '../../../../policies/rules/clock.ts';

const before = { clock: 1_000n, resetCount: 5, restartCount: 2, safe: true };
const judge = (changes: Partial<typeof before>) => {
  const { findings, rebooted, resumed } = evaluateClock({ ...before, clock: 1_001n, ...changes }, before);
  const rules = findings.map(({ rule, message }) => `${rule}: ${message.split(' ')[0]}`);
  return { rules, flags: [rebooted ? 'rebooted' : '', resumed ? 'resumed' : ''].join('') };
};

test.each([
  ['the clock moved on', {}, [], ''],
  [
    'a reset, after which clock and restarts may be less',
    { resetCount: 6, restartCount: 0, clock: 1n },
    [],
    'rebooted',
  ],
  ['a reset, and restarts since', { resetCount: 6, restartCount: 3, clock: 1n }, [], 'rebooted'],
  ['a restart without a reset is told, and is no boot', { restartCount: 3 }, [], 'resumed'],
  ['fewer resets, whatever the clock says', { resetCount: 4 }, ['quote.clock: resetCount'], ''],
  ['fewer restarts of one boot', { restartCount: 1 }, ['quote.clock: restartCount'], ''],
  ['an earlier clock of one boot', { clock: 999n }, ['quote.clock: clock'], ''],
  ['the same clock again', { clock: 1_000n }, ['quote.clock: clock'], ''],
])('quote.clock: %s', (_what, changes, rules, flags) => {
  expect(judge(changes)).toEqual({ rules, flags });
});

test('quote.clock: there is nothing to compare the first quote with', () => {
  expect(evaluateClock(before, undefined)).toEqual({ findings: [], rebooted: false, resumed: false });
});
