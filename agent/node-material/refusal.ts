import { AssayError } from '../../core/errors.ts';

/** What the issuer's answer means for what the node holds. */
export type Refusal =
  | 'distrusted' // trust was ended by an act: nothing may be kept
  | 'not-yet' // no fresh pass, or not admitted: what is valid stays
  | 'unknown' // our certificate is not on record: enrol again
  | 'trouble'; // nobody said no: keep, try again

const ENDED: ReadonlySet<string> = new Set(['node.failed', 'node.banned', 'node.retired']);

export function classifyRefusal(error: unknown): Refusal {
  if (!(error instanceof AssayError)) return 'trouble';
  if (error.code === 'unauthenticated') return 'unknown';
  if (error.code === 'not-admitted') return 'not-yet';
  if (error.code !== 'not-trusted') return 'trouble';
  return rulesOf(error).some((rule) => ENDED.has(rule)) ? 'distrusted' : 'not-yet';
}

export function rulesOf(error: AssayError): string[] {
  return error.details.flatMap(({ rule }) => (rule === undefined ? [] : [rule]));
}
