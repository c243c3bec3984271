import { printable } from '../../core/bytes/encoding.ts';
import type { CheckResult } from './result.ts';

const MARK = { ok: 'ok  ', warn: 'WARN', fail: 'FAIL' } as const;

/** A line for each check, and below it what to do. */
export function renderChecks(results: readonly CheckResult[]): string {
  const lines = results.flatMap(({ check, outcome, message, advice }) => [
    `${MARK[outcome]}  ${check.padEnd(9)}  ${printable(message)}`,
    ...(advice === undefined ? [] : [`                 -> ${printable(advice)}`]),
  ]);
  const failed = results.filter(({ outcome }) => outcome === 'fail').length;
  const warned = results.filter(({ outcome }) => outcome === 'warn').length;
  return [...lines, `${results.length} checks, ${failed} failed, ${warned} with a warning`].join('\n');
}
