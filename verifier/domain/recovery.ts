import type { Recovery, RecoveryRule } from '../../policies/policy.ts';

/** What tells one boot and one record from another; the reset count of a TPM that has said none is undefined. */
export interface Occasion {
  readonly resetCount: number | undefined;
  readonly nodeVersion: number;
}

/** Passes in a row after the occasion of each rule. */
export type RecoveryProgress = ReadonlyMap<RecoveryRule, number>;

/** Counts a pass: for the rules whose occasion came since the ban. */
export function countPass(progress: RecoveryProgress, atBan: Occasion, now: Occasion): RecoveryProgress {
  const came: Readonly<Record<RecoveryRule, boolean>> = {
    reboot:
      atBan.resetCount !== undefined && now.resetCount !== undefined && now.resetCount > atBan.resetCount,
    're-enrolment': now.nodeVersion > atBan.nodeVersion,
  };
  const rules = ['reboot', 're-enrolment'] as const;
  return new Map(rules.flatMap((rule) => (came[rule] ? [[rule, (progress.get(rule) ?? 0) + 1]] : [])));
}

/** The first rule that the passes satisfy. */
export function recoveredBy(recovery: Recovery, progress: RecoveryProgress): RecoveryRule | undefined {
  return [...recovery].find(([rule, passes]) => (progress.get(rule) ?? 0) >= passes)?.[0];
}
