import { describe, expect, test } from 'vitest';
import { effectOf, endTrust } from '../../../../verifier/domain/transition.ts';

const finding = (rule: string) => ({ rule, message: '' });

describe('effectOf', () => {
  const byPolicy = { byPolicy: true, findings: [finding('pcr.value')] };
  const broken = { byPolicy: false, findings: [finding('quote.nonce')] };
  test.each([
    ['a rule of the policy, ban', byPolicy, 'ban', 'ban'],
    ['a rule of the policy, stop', byPolicy, 'stop', 'stop'],
    ['a rule of the policy, report', byPolicy, 'report', 'report'],
    ['broken evidence, ban', broken, 'ban', 'ban'],
    ['broken evidence, stop', broken, 'stop', 'stop'],
    ['broken evidence is never only reported', broken, 'report', 'stop'],
    [
      'a clone is banned under every policy',
      { byPolicy: false, findings: [finding('id.clone')] },
      'report',
      'ban',
    ],
  ] as const)('%s', (_name, verdict, reaction, expected) => {
    expect(effectOf(verdict, reaction)).toBe(expected);
  });
});

describe('endTrust', () => {
  test.each([
    ['a passing node fails', 'passing', 'stop', { epoch: 8, standing: 'failed', event: 'failed' }],
    ['a passing node is banned', 'passing', 'ban', { epoch: 8, standing: 'banned', event: 'banned' }],
    [
      'a node that was never judged fails',
      'unknown',
      'stop',
      { epoch: 8, standing: 'failed', event: 'failed' },
    ],
    ['a failed node is banned', 'failed', 'ban', { epoch: 8, standing: 'banned', event: 'banned' }],
    ['a second fail revokes nothing', 'failed', 'stop', { epoch: 7, standing: 'failed' }],
    ['a ban is not weakened', 'banned', 'stop', { epoch: 7, standing: 'banned' }],
    ['a second ban revokes nothing', 'banned', 'ban', { epoch: 7, standing: 'banned' }],
  ] as const)('%s', (_name, standing, effect, expected) => {
    expect(endTrust({ epoch: 7, standing }, effect)).toEqual(expected);
  });
});
