import { expect, test } from 'vitest';
import { type TierFacts, tierOf } from '../../../../core/result/tier.ts';

const FULL: TierFacts = {
  state: 'trusted',
  outcome: 'pass',
  judged: { boot: true, files: true },
  ekCertified: true,
  channelBound: true,
};

const rules = (facts: Partial<TierFacts>) => {
  const { tier, reasons } = tierOf({ ...FULL, ...facts });
  return [tier, ...reasons.map(({ rule }) => rule)].join(' ');
};

test('full: everything is judged, on a certified TPM, over its own channel', () => {
  expect(rules({})).toBe('full tier.complete');
});

test.each([
  ['tier.reported', { outcome: 'fail' }],
  ['tier.boot', { judged: { boot: false, files: true } }],
  ['tier.files', { judged: { boot: true, files: false } }],
  ['tier.ek', { ekCertified: false }],
  ['tier.channel', { channelBound: false }],
] as const)('partial by %s alone', (rule, facts) => {
  expect(rules(facts)).toBe(`partial ${rule}`);
});

test('all that is wanting is listed', () => {
  expect(rules({ judged: null, ekCertified: false })).toBe('partial tier.boot tier.files tier.ek');
});

test('a verdict that was not reached does not weaken trust that still runs', () => {
  expect(rules({ outcome: 'inconclusive' })).toBe('full tier.complete');
});

test.each([
  ['pending', 'untrusted tier.pending'],
  ['enrolled', 'untrusted tier.never'],
  ['failed', 'untrusted tier.failed'],
  ['banned', 'untrusted tier.banned'],
  ['retired', 'untrusted tier.retired'],
  ['stale', 'stale tier.stale'],
] as const)('%s is %s, whatever else is good', (state, expected) => {
  expect(rules({ state })).toBe(expected);
});
