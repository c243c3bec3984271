import { type DocumentSource, parseYaml } from '../../core/document.ts';
import { parseDuration } from '../../core/duration.ts';
import type { DigestSet } from '../digests/digest-set.ts';
import type { ImaRules } from '../ima-policy.ts';
import { parsePolicy } from '../language/parse.ts';
import { PolicyDocument } from '../language/schema.ts';
import { lintBoot } from './lint-boot.ts';
import { lintBuffers, lintExclusions, lintKeyrings, lintKeys, lintViolations } from './lint-paths.ts';
import { lintSets } from './lint-sets.ts';

/** What a valid policy should perhaps not say. */
export interface LintWarning {
  /** Stable, such as `exclude.wide`. */
  readonly code: string;
  readonly line: number;
  readonly column: number;
  /** Key in the document, such as `ima.exclude.0`. */
  readonly key: string;
  readonly problem: string;
  /** What to do. */
  readonly advice: string;
}

export interface LintInput {
  /** The document, out of its envelope. */
  readonly text: string;
  /** Name shown in errors. */
  readonly file: string;
  readonly sets?: readonly DigestSet[];
  /** Ids of the sets that the verifier has; absent when that is not known. */
  readonly stored?: ReadonlySet<string>;
}

/** Before it has a place. */
export type Remark = Pick<LintWarning, 'code' | 'problem' | 'advice'> & {
  readonly path: readonly (string | number)[];
};

/** The section `ima`, as it is written and compiled. */
export interface LintedIma {
  readonly section: NonNullable<PolicyDocument['ima']>;
  readonly rules: ImaRules;
}

const LONG_TRUST_MS = 3_600_000;
const MAX_CHARACTERS = 16 * 1024 * 1024;

/**
 * Looks for what a policy allows without need. No warnings do not mean that a policy is good.
 *
 * @throws {AssayError} `invalid-policy` as parsePolicy
 */
export function lintPolicy({ text, file, sets = [], stored }: LintInput): LintWarning[] {
  const policy = parsePolicy(text, file);
  const { ima: rules } = policy;
  const options = { file, code: 'invalid-policy' as const, kind: 'policy', maxCharacters: MAX_CHARACTERS };
  const { value, source } = parseYaml(text, PolicyDocument, options);
  const remarks = [...lintReaction(value), ...lintFreshness(value), ...lintPcrs(value), ...lintBoot(value)];
  if (value.ima && rules) {
    const ima = { section: value.ima, rules };
    remarks.push(...lintMatch(ima), ...lintExclusions(ima, sets), ...lintViolations(ima), ...lintKeys(ima));
    remarks.push(...lintBuffers(ima), ...lintKeyrings(ima));
  }
  remarks.push(...lintSets(value, sets, stored));
  return remarks
    .map((remark) => placed(remark, source))
    .sort((a, b) => a.line - b.line || a.column - b.column);
}

function placed({ path, ...remark }: Remark, source: DocumentSource): LintWarning {
  const { message } = source.locate(path, '');
  const [, line, column] = /^:(\d+):(\d+):/.exec(message.slice(source.file.length)) ?? [];
  return { ...remark, line: Number(line ?? 1), column: Number(column ?? 1), key: path.join('.') };
}

function lintReaction({ reaction }: PolicyDocument): Remark[] {
  if (reaction !== 'report') return [];
  const problem = 'a node that breaks this policy stays trusted';
  const advice = 'use stop or ban when the policy is rolled out';
  return [{ code: 'reaction.report', path: ['reaction'], problem, advice }];
}

function lintFreshness({ freshness }: PolicyDocument): Remark[] {
  const trustFor = freshness['trust-for'];
  if (parseDuration(trustFor) <= LONG_TRUST_MS) return [];
  const problem = `a node that stops answering stays trusted for ${trustFor}`;
  const advice = 'use 1h or less, a few intervals';
  return [{ code: 'freshness.long', path: ['freshness', 'trust-for'], problem, advice }];
}

function lintPcrs({ pcrs }: PolicyDocument): Remark[] {
  return Object.entries(pcrs.values ?? {}).flatMap(([pcr, rule]) =>
    rule['any-of'].flatMap((digest, index): Remark[] => {
      const path = ['pcrs', 'values', pcr, 'any-of', index];
      const advice = `take the value from a node that is known to be good, or leave PCR ${pcr} out`;
      if (/^0+$/.test(digest)) {
        const problem = `PCR ${pcr} may be all zero: nothing was measured into it, and what runs next can choose what is`;
        return [{ code: 'pcr.zero', path, problem, advice }];
      }
      if (!/^f+$/.test(digest)) return [];
      const problem = `PCR ${pcr} may be all ones: no dynamic launch has set it`;
      return [{ code: 'pcr.ones', path, problem, advice }];
    }),
  );
}

function lintMatch({ rules }: LintedIma): Remark[] {
  if (!rules.anyPath) return [];
  const problem =
    'each file of a set may take the place of each other file, such as an old tool that of a new one';
  const advice = 'use match: path, and import sets with the paths that files have on the node';
  return [{ code: 'match.anywhere', path: ['ima', 'match'], problem, advice }];
}
