import { expect, test } from 'vitest';
import type { RecoveryRule } from '../../../policies/policy.ts';
import { countPass, recoveredBy } from '../../../verifier/domain/recovery.ts';

const atBan = { resetCount: 7, nodeVersion: 2 };
const nothing = new Map<RecoveryRule, number>();

test('a pass counts for the rules whose occasion came since the ban', () => {
  const count = (resetCount: number | undefined, nodeVersion: number) =>
    Object.fromEntries(countPass(nothing, atBan, { resetCount, nodeVersion }));
  expect(count(7, 2)).toEqual({});
  expect(count(8, 2)).toEqual({ reboot: 1 });
  expect(count(7, 3)).toEqual({ 're-enrolment': 1 });
  expect(count(9, 4)).toEqual({ reboot: 1, 're-enrolment': 1 });
  expect(count(6, 1), 'back in time').toEqual({});
});

test('a reboot cannot be told where the boot of the ban is not known', () => {
  const unknown = { resetCount: undefined, nodeVersion: 2 };
  expect(countPass(nothing, unknown, { resetCount: 8, nodeVersion: 2 })).toEqual(nothing);
});

test('passes add up, and enough of them satisfy the rule that wants them', () => {
  const recovery = new Map<RecoveryRule, number>([
    ['reboot', 3],
    ['re-enrolment', 2],
  ]);
  let progress: ReadonlyMap<RecoveryRule, number> = nothing;
  const rules = [1, 2, 3].map(() => {
    progress = countPass(progress, atBan, { resetCount: 8, nodeVersion: 2 });
    return recoveredBy(recovery, progress);
  });
  expect(rules).toEqual([undefined, undefined, 'reboot']);
  expect(recoveredBy(recovery, new Map([['re-enrolment', 2]]))).toBe('re-enrolment');
  expect(recoveredBy(new Map([['re-enrolment', 1]]), new Map([['reboot', 9]]))).toBeUndefined();
});
