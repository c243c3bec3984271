import { expect, test } from 'vitest';
import { halfLife, type MaterialState, planStep } from '../../../../agent/node-material/plan.ts';

const at = (seconds: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, seconds));
const EMPTY: MaterialState = {
  ...{ mayAsk: true, asking: false, intermediate: undefined, leaf: undefined },
  ...{ askAt: new Date(0), mintAt: new Date(0), destroyAt: new Date(0) },
};
const HELD: MaterialState = {
  ...EMPTY,
  intermediate: { notAfter: at(600), renewAt: at(300) },
  leaf: { notAfter: at(200), renewAt: at(100), current: true },
};

test.each<[string, MaterialState, number, object]>([
  ['nothing held', EMPTY, 0, { do: 'obtain' }],
  ['nothing held and not admitted', { ...EMPTY, mayAsk: false }, 0, { do: 'wait', milliseconds: 15_000 }],
  ['asked a moment ago', { ...EMPTY, askAt: at(3) }, 0, { do: 'wait', milliseconds: 3_000 }],
  ['nearly due', { ...EMPTY, askAt: at(1) }, 0.9, { do: 'wait', milliseconds: 1_000 }],
  ['all fresh', HELD, 50, { do: 'wait', milliseconds: 15_000 }],
  ['leaf at half life', HELD, 100, { do: 'mint' }],
  [
    'leaf at half life, minting failed',
    { ...HELD, mintAt: at(105) },
    100,
    { do: 'wait', milliseconds: 5_000 },
  ],
  ['leaf over, minting failed', { ...HELD, mintAt: at(250) }, 200, { do: 'destroy' }],
  ['leaf over, minting possible', HELD, 200, { do: 'mint' }],
  [
    'leaf of an earlier run that lasts as long as the new intermediate',
    { ...HELD, leaf: { notAfter: at(600), renewAt: at(600), current: false } },
    50,
    { do: 'mint' },
  ],
  [
    'leaf that lasts as long as its intermediate',
    { ...HELD, leaf: { notAfter: at(600), renewAt: at(40), current: true } },
    50,
    { do: 'wait', milliseconds: 15_000 },
  ],
  ['intermediate at half life, and asked for', { ...HELD, asking: true }, 300, { do: 'mint' }],
  ['over while it is asked for', { ...HELD, asking: true }, 600, { do: 'destroy' }],
  ['nothing held, and asked for', { ...EMPTY, asking: true }, 0, { do: 'wait', milliseconds: 15_000 }],
  ['intermediate at half life', HELD, 300, { do: 'obtain' }],
  ['intermediate over', { ...HELD, askAt: at(700) }, 600, { do: 'destroy' }],
  [
    'leaf of an earlier run, over',
    { ...EMPTY, mayAsk: false, leaf: { notAfter: at(5), renewAt: at(5), current: true } },
    5,
    { do: 'destroy' },
  ],
  [
    'over, and not destroyed a moment ago',
    { ...EMPTY, mayAsk: false, leaf: { notAfter: at(5), renewAt: at(5), current: true }, destroyAt: at(8) },
    5,
    { do: 'wait', milliseconds: 3_000 },
  ],
  [
    'over, not destroyed a moment ago, and admitted',
    { ...EMPTY, leaf: { notAfter: at(5), renewAt: at(5), current: true }, destroyAt: at(8) },
    5,
    { do: 'obtain' },
  ],
  ['clock was set back', { ...EMPTY, askAt: at(7_200) }, 0, { do: 'obtain' }],
])('%s', (_name, state, seconds, step) => {
  expect(planStep(state, new Date(at(0).getTime() + seconds * 1000))).toEqual(step);
});

test('half life of something that is over is now', () => {
  expect(halfLife(at(10), at(5), () => 0.5)).toEqual(at(10));
});
