import { describe, expect, test } from 'vitest';
import { createLogger } from '../../../../platform/logging.ts';
import { type AttesterOptions, attester } from '../../../../verifier/polling/attester.ts';
import type { Judgement } from '../../../../verifier/polling/judgement.ts';
import { type PolledNode, polledNode } from '../../../../verifier/polling/polled-node.ts';
import { FAILURE, PASS, RECORD, SILENCE, TRUSTED } from './samples.ts';

const unavailable = Object.assign(new Error('connect ECONNREFUSED'), {
  code: 'ECONNREFUSED',
  syscall: 'connect',
});

function bench(judgements: readonly Judgement[], changes: Partial<AttesterOptions> = {}) {
  const log: string[] = [];
  const left = [...judgements];
  const attest = attester({
    poll: async () => {
      log.push('poll');
      const next = left.shift();
      if (!next) throw new Error('polled too often');
      return next;
    },
    probation: async () => {
      log.push('probation');
      return 4000;
    },
    policies: {
      policyFor: () => undefined,
      whyNone: () => ({ rule: 'policy.missing', message: '' }),
      refresh: async () => false,
      knowledge: () => ({ sets: new Map() }),
    },
    results: {
      submit: (_node, result) => log.push(`submit ${result.kind}`),
      discard: () => log.push('discard'),
    },
    recordFail: async () => {
      log.push('fail');
      return { epoch: 5, standing: 'failed', event: 'failed' };
    },
    onTrustEnded: () => log.push('ended'),
    onStale: () => log.push('stale'),
    onVerdict: () => {},
    random: () => 0.5,
    logger: createLogger({ level: 'silent', name: 'test' }),
    ...changes,
  });
  return { log, attest };
}

const node = (changes: Partial<PolledNode> = {}) => Object.assign(polledNode(RECORD, TRUSTED), changes);

describe('attester', () => {
  test('a pass is submitted, and its clock counts from now on', async () => {
    const { log, attest } = bench([{ ...PASS, clock: { ...PASS.clock, clock: 9n } }]);
    const one = node();
    expect(await attest(one)).toBe(60_000);
    expect(log).toEqual(['poll', 'submit extend']);
    expect(one.clock?.clock).toBe(9n);
  });

  test('a fail voids what was not written yet, and is recorded at once', async () => {
    const { log, attest } = bench([FAILURE]);
    const one = node();
    await attest(one);
    expect(log).toEqual(['poll', 'discard', 'fail', 'ended']);
    expect(one.trust).toMatchObject({ epoch: 5, standing: 'failed' });
  });

  test('a second fail in a row tells nobody', async () => {
    const { log, attest } = bench([FAILURE], { recordFail: async () => ({ epoch: 4, standing: 'failed' }) });
    await attest(node());
    expect(log).toEqual(['poll', 'discard']);
  });

  test('a fail that the database cannot take comes before any other poll of that node', async () => {
    let away = true;
    const { log, attest } = bench([FAILURE], {
      recordFail: async () => {
        log.push('fail');
        if (away) throw unavailable;
        return { epoch: 5, standing: 'failed', event: 'failed' };
      },
    });
    const one = node();
    expect(await attest(one)).toBe(1000);
    away = false;
    await attest(one);
    expect(log).toEqual(['poll', 'discard', 'fail', 'discard', 'fail', 'ended']);
    expect(one.unrecorded).toBeUndefined();
  });

  test('a fail that is void has the node read again', async () => {
    const { log, attest } = bench([FAILURE], { recordFail: async () => undefined });
    await attest(node());
    expect(log).toEqual(['poll', 'discard', 'stale']);
  });

  test('a kept connection that broke is tried once more, a new one is not', async () => {
    const warm = bench([SILENCE, PASS]);
    await warm.attest(node({ warm: true }));
    expect(warm.log).toEqual(['poll', 'poll', 'submit extend']);
    const cold = bench([SILENCE]);
    await cold.attest(node());
    expect(cold.log).toEqual(['poll', 'submit undecided']);
  });

  test('silence is asked about again soon, then less often', async () => {
    const { attest } = bench([SILENCE, SILENCE, SILENCE, PASS]);
    const one = node();
    const delays = [await attest(one), await attest(one), await attest(one), await attest(one)];
    expect(delays).toEqual([2000, 4000, 8000, 60_000]);
    expect(one.failures).toBe(0);
  });

  test('what was learned of a node that was lost meanwhile is void', async () => {
    const lost = node();
    const { log, attest } = bench([], {
      poll: async () => {
        lost.gone = true;
        return FAILURE;
      },
    });
    await attest(lost);
    expect(log).toEqual([]);
  });
});

test('a banned node is on probation: nothing that it shows is a result', async () => {
  const { log, attest } = bench([]);
  const node = polledNode(RECORD, { ...TRUSTED, standing: 'banned' });
  expect(await attest(node)).toBe(4000);
  expect(log).toEqual(['probation']);
});
