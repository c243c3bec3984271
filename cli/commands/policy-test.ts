import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import Type, { type Static } from 'typebox';
import { parseYaml } from '../../core/document.ts';
import type { Verdict } from '../../policies/verdict.ts';
import { type CommandContext, show } from '../context.ts';
import { readSet } from '../digests/read-set.ts';
import { readEvidence } from '../evidence-files/evidence.ts';
import { EXIT } from '../exit-codes.ts';
import { readTextFile } from '../files.ts';
import { shown, shownReason } from '../output/table.ts';
import { readPolicyFile } from '../policy-files.ts';

const closed = { additionalProperties: false } as const;
const Case = Type.Object(
  {
    name: Type.String(),
    policy: Type.String(),
    evidence: Type.String(),
    quote: Type.Optional(Type.String()),
    sets: Type.Optional(Type.Array(Type.String())),
    verdict: Type.Enum(['pass', 'fail', 'inconclusive']),
    reasons: Type.Optional(Type.Array(Type.String())),
  },
  closed,
);
type Case = Static<typeof Case>;
const Cases = Type.Object(
  { assay: Type.Literal('policy-test/v1'), cases: Type.Array(Case, { minItems: 1 }) },
  closed,
);
const MAX_CHARACTERS = 1024 * 1024;

/** Cases of a policy, for its author's own CI. */
export function policyTestCommand(policy: Command, context: () => CommandContext): void {
  policy
    .command('test <file>')
    .description(
      'judge evidence in files, and say where the verdict is not the expected one; exit code 1 then',
    )
    .action((file: string) => run(context(), file));
}

async function run(context: CommandContext, file: string): Promise<void> {
  const options = {
    file,
    code: 'invalid-request' as const,
    kind: 'list of cases',
    maxCharacters: MAX_CHARACTERS,
  };
  const { value } = parseYaml(await readTextFile(file), Cases, options);
  const results: CaseResult[] = [];
  for (const one of value.cases) results.push(await judge(one, dirname(resolve(file))));
  if (results.some(({ ok }) => !ok)) process.exitCode = EXIT.no;
  show(context, results, render);
}

interface CaseResult {
  readonly name: string;
  readonly ok: boolean;
  readonly expected: Verdict['outcome'];
  readonly found: Verdict['outcome'];
  /** Rules that were expected and did not fail. */
  readonly missing: readonly string[];
  /** Rules that failed and were not expected, with what they say. */
  readonly unexpected: readonly { readonly rule: string; readonly message: string }[];
}

/** Paths are relative to the file that names them. */
async function judge(one: Case, base: string): Promise<CaseResult> {
  const { policy } = await readPolicyFile(resolve(base, one.policy));
  const sets = await Promise.all((one.sets ?? []).map((name) => readSet(resolve(base, name))));
  const evidence = await readEvidence(resolve(base, one.evidence), one.quote);
  const { outcome, findings } = evidence.judge(policy, [...evidence.sets, ...sets]).verdict;
  const expected = new Set(one.reasons ?? []);
  const failed = new Set(findings.map(({ rule }) => rule));
  const missing = [...expected].filter((rule) => !failed.has(rule));
  // A case that names no reasons is about the verdict alone.
  const unexpected = one.reasons ? findings.filter(({ rule }) => !expected.has(rule)) : [];
  const ok = outcome === one.verdict && missing.length + unexpected.length === 0;
  return { name: one.name, ok, expected: one.verdict, found: outcome, missing, unexpected };
}

/** TAP 14. */
function render(results: readonly CaseResult[]): string {
  const lines = results.flatMap((result, index) => [
    `${result.ok ? 'ok' : 'not ok'} ${index + 1} - ${shown(result.name).replaceAll('#', '\\#')}`,
    ...(result.ok ? [] : differences(result)),
  ]);
  return ['TAP version 14', `1..${results.length}`, ...lines].join('\n');
}

function differences({ expected, found, missing, unexpected }: CaseResult): string[] {
  return [
    ...(expected === found ? [] : [`  # verdict: expected ${expected}, found ${found}`]),
    ...missing.map((rule) => `  # - ${shown(rule)}: expected, and did not fail`),
    ...unexpected.map((reason) => `  # + ${shownReason(reason)}`),
  ];
}
