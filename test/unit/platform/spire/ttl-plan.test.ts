import fc from 'fast-check';
import { expect, test } from 'vitest';
import { planTtls } from '../../../../platform/spire/ttl-plan.ts';

test('five minutes with a question every 30 seconds', () => {
  expect(planTtls({ exposureSeconds: 300, intervalSeconds: 30 })).toEqual({
    workloadSvid: 265,
    agentSvid: 265,
    nodeCertificate: 120,
    trustFor: 120,
    untilBanned: 35,
    exposure: 300,
    exposureWithoutBan: 650,
    signaturesPerHour: 28,
  });
});

test('a goal that leaves no room for practical SVIDs says what would', () => {
  const plan = (exposureSeconds: number, intervalSeconds: number) => () =>
    planTtls({ exposureSeconds, intervalSeconds });
  expect(plan(94, 30)).toThrow('choose at least 95s, or ask nodes every 29s');
  expect(plan(95, 30)).not.toThrow();
  expect(plan(60, 30)).toThrow(/choose at least 95s$/);
});

test('a goal is kept, and certificates end no later than ten minutes', () => {
  const goal = fc.record({
    exposureSeconds: fc.integer({ min: 66, max: 86_400 }),
    intervalSeconds: fc.integer({ min: 1, max: 3600 }),
  });
  fc.assert(
    fc.property(goal, (wanted) => {
      fc.pre(wanted.exposureSeconds - wanted.intervalSeconds >= 65);
      const plan = planTtls(wanted);
      expect(plan.untilBanned + plan.workloadSvid).toBeLessThanOrEqual(wanted.exposureSeconds);
      expect(plan.workloadSvid).toBeGreaterThanOrEqual(60);
      expect(plan.nodeCertificate).toBeLessThanOrEqual(600);
      // What parsePolicy demands.
      expect(plan.trustFor).toBeGreaterThanOrEqual(2 * wanted.intervalSeconds);
    }),
  );
});
