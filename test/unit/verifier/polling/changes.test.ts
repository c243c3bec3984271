import { describe, expect, test } from 'vitest';
import { changesOf } from '../../../../verifier/polling/changes.ts';
import type { Extension, Undecided } from '../../../../verifier/polling/judgement.ts';
import type { TrustSnapshot } from '../../../../verifier/polling/polled-node.ts';
import { NOW, PASS, SILENCE, TRUSTED } from './samples.ts';

const summary = (trust: TrustSnapshot, verdict: Extension | Undecided) => {
  const { history, events } = changesOf(trust, verdict, NOW);
  return [history, ...events.map(({ kind }) => kind)];
};

describe('changesOf', () => {
  const reported: Extension = {
    ...PASS,
    outcome: 'fail',
    findings: [{ rule: 'pcr.value', pcr: 1, message: '' }],
  };
  test.each([
    ['an equal pass is nothing new', TRUSTED, PASS, [false]],
    [
      'a first pass',
      { ...TRUSTED, standing: 'unknown', outcome: null, policy: null },
      PASS,
      [true, 'trusted'],
    ],
    ['a pass of another version', { ...TRUSTED, nodeVersion: 1 }, PASS, [true, 'trusted']],
    ['a pass after a fail', { ...TRUSTED, standing: 'failed', outcome: 'fail' }, PASS, [true, 'trusted']],
    ['a pass after trust ran out', { ...TRUSTED, trustedUntil: NOW }, PASS, [false, 'trusted']],
    ['a pass under another policy', { ...TRUSTED, policy: 'p@0' }, PASS, [true]],
    ['a pass after a reboot', TRUSTED, { ...PASS, rebooted: true }, [true, 'rebooted']],
    ['a pass after a suspend', TRUSTED, { ...PASS, resumed: true }, [false, 'resumed']],
    ['a first silence', TRUSTED, SILENCE, [true, 'inconclusive']],
    [
      'a second silence',
      { ...TRUSTED, outcome: 'inconclusive', reasonKey: 'node.unreachable' },
      SILENCE,
      [false],
    ],
    [
      'silence for another reason',
      { ...TRUSTED, outcome: 'inconclusive', reasonKey: 'internal' },
      SILENCE,
      [true],
    ],
    ['silence of a node that is not trusted', { ...TRUSTED, standing: 'failed' }, SILENCE, [true]],
    ['a first report', TRUSTED, reported, [true, 'reported']],
    ['the same report', { ...TRUSTED, outcome: 'fail', reasonKey: 'pcr.value/1' }, reported, [false]],
    [
      'another report',
      { ...TRUSTED, outcome: 'fail', reasonKey: 'pcr.value/2' },
      reported,
      [true, 'reported'],
    ],
  ] as const)('%s', (_name, trust, verdict, expected) => {
    expect(summary(trust, verdict)).toEqual(expected);
  });

  test('what is known next has the deadline of the nonce', () => {
    expect(changesOf(TRUSTED, PASS, NOW).next).toMatchObject({ trustedUntil: NOW - 10 + 60_000 });
    expect(changesOf(TRUSTED, SILENCE, NOW).next).toMatchObject({ trustedUntil: TRUSTED.trustedUntil });
  });
});
