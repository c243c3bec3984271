import type { DigestSet } from '../digests/digest-set.ts';
import { resolveIma } from '../ima-policy.ts';
import type { Policy, Recovery } from '../policy.ts';
import { diffFiles, type FileChange, type FileRules, type PackageChange } from './diff-files.ts';
import { type Grant, grantsBeside } from './diff-rules.ts';

/** A change of how, and not of what, is judged. */
export interface SettingChange {
  readonly what: 'bank' | 'interval' | 'trust-for' | 'reaction' | 'recovery';
  readonly from: string;
  readonly to: string;
  readonly effect: 'weaker' | 'stricter' | 'other';
}

/** What a policy allows that another one did not, and the other way round. All empty: the same in effect. */
export interface PolicyDiff {
  readonly allowed: readonly Grant[];
  readonly forbidden: readonly Grant[];
  readonly settings: readonly SettingChange[];
  readonly packages: readonly PackageChange[];
  readonly files: readonly FileChange[];
}

/** From the one that does least to the one that does most. */
const REACTIONS = ['report', 'stop', 'ban'] as const;
const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** Ids of the sets that a comparison needs; none where both policies allow files by the same sets. */
export function setsToCompare(before: Policy, after: Policy): ReadonlySet<string> {
  const [from, to] = [before.ima, after.ima];
  if (!from || !to) return new Set();
  const all = new Set([...from.allow, ...to.allow]);
  const isSame = [from, to].every(({ allow }) => new Set(allow).size === all.size);
  return isSame && from.files?.id === to.files?.id ? new Set() : all;
}

/**
 * Compares what two policies mean. What does not change a verdict, such as names, descriptions, and patterns that
 * others cover, is no difference.
 *
 * @throws {RangeError} when a set of `setsToCompare` is missing
 */
export function diffPolicies(
  before: Policy,
  after: Policy,
  sets: ReadonlyMap<string, DigestSet> = new Map(),
): PolicyDiff {
  const isCompared = setsToCompare(before, after).size > 0 || before.ima?.files?.id !== after.ima?.files?.id;
  const [from, to] = isCompared ? [fileRules(before, sets), fileRules(after, sets)] : [];
  return {
    allowed: grantsBeside(after, before),
    forbidden: grantsBeside(before, after),
    settings: diffSettings(before, after),
    ...(from && to ? diffFiles(from, to) : { packages: [], files: [] }),
  };
}

function fileRules({ ima }: Policy, sets: ReadonlyMap<string, DigestSet>): FileRules | undefined {
  if (!ima) return undefined;
  const missing = ima.allow.filter((id) => !sets.has(id));
  if (missing.length > 0) throw new RangeError(`the digest set ${missing.join(', ')} is needed`);
  return resolveIma(ima, sets);
}

function diffSettings(before: Policy, after: Policy): SettingChange[] {
  const changes: SettingChange[] = [];
  if (before.pcrs.bank !== after.pcrs.bank)
    changes.push({ what: 'bank', from: before.pcrs.bank, to: after.pcrs.bank, effect: 'other' });
  const [from, to] = [before.freshness, after.freshness];
  changes.push(...diffDuration('interval', from.intervalMs, to.intervalMs));
  changes.push(...diffDuration('trust-for', from.trustForMs, to.trustForMs));
  if (before.reaction !== after.reaction) {
    const isWeaker = REACTIONS.indexOf(after.reaction) < REACTIONS.indexOf(before.reaction);
    const effect = isWeaker ? 'weaker' : 'stricter';
    changes.push({ what: 'reaction', from: before.reaction, to: after.reaction, effect });
  }
  return [...changes, ...diffRecovery(before.recovery, after.recovery)];
}

function diffRecovery(before: Recovery = new Map(), after: Recovery = new Map()): SettingChange[] {
  const text = (recovery: Recovery) =>
    [...recovery].map(([rule, passes]) => `${passes} passes after a ${rule}`).join(', ') ||
    'by a person alone';
  const [from, to] = [text(before), text(after)];
  if (from === to) return [];
  const isWeaker = [...after].some(
    ([rule, passes]) => passes < (before.get(rule) ?? Number.POSITIVE_INFINITY),
  );
  return [{ what: 'recovery', from, to, effect: isWeaker ? 'weaker' : 'stricter' }];
}

function diffDuration(what: 'interval' | 'trust-for', from: number, to: number): SettingChange[] {
  if (from === to) return [];
  return [{ what, from: duration(from), to: duration(to), effect: to > from ? 'weaker' : 'stricter' }];
}

function duration(ms: number): string {
  const [unit, size] = UNITS.find(([, each]) => ms % each === 0) ?? ['ms', 1];
  return `${ms / size}${unit}`;
}
