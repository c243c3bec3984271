import type { Command } from 'commander';
import { AssayError } from '../../core/errors.ts';
import { setsOf } from '../../policies/appraise.ts';
import { type CommandContext, show } from '../context.ts';
import { readSet } from '../digests/read-set.ts';
import { type JudgedFiles, readEvidence } from '../evidence-files/evidence.ts';
import { EXIT } from '../exit-codes.ts';
import { shownReasons } from '../output/table.ts';
import { readPolicyFile } from '../policy-files.ts';

interface AppraiseOptions {
  readonly policy: string;
  readonly evidence: string;
  readonly quote: string;
  readonly set?: string[];
}

export function appraiseCommand(program: Command, context: () => CommandContext): void {
  program
    .command('appraise')
    .description(
      'judge evidence that lies in files by a policy; talks to no service. Exit code 1 unless it passes',
    )
    .requiredOption('--policy <file>', 'the policy')
    .requiredOption(
      '--evidence <path>',
      'a directory with quote.msg, quote.sig, quote.pcrs, ak.pub and logs; or an evidence bundle',
    )
    .option('--quote <name>', 'name of the quote files', 'quote')
    .option('--set <file...>', 'digest sets that the policy names')
    .action(async (options: AppraiseOptions) => run(context(), options));
}

async function run(context: CommandContext, options: AppraiseOptions): Promise<void> {
  const { policy } = await readPolicyFile(options.policy);
  const evidence = await readEvidence(options.evidence, options.quote);
  const sets = [...evidence.sets, ...(await Promise.all((options.set ?? []).map(readSet)))];
  const missing = setsOf(policy).filter((id) => !sets.some((set) => set.id === id));
  if (missing.length > 0) {
    const message = `the policy names digest sets that are not given: ${missing.join(', ')}; give their files with --set`;
    throw new AssayError('invalid-request', message);
  }
  const result = evidence.judge(policy, sets);
  if (result.verdict.outcome !== 'pass') process.exitCode = EXIT.no;
  show(context, report(policy.name, result), render);
}

function report(policy: string, { verdict, limits, tier, reasons: tierReasons }: JudgedFiles) {
  const claims = 'boot' in verdict && verdict.boot ? { boot: verdict.boot } : {};
  const { outcome, findings: reasons } = verdict;
  return { policy, outcome, tier, tierReasons, reasons, ...claims, limits };
}

function render({ policy, outcome, tier, tierReasons, reasons, limits }: ReturnType<typeof report>): string {
  const title = `${outcome} under policy ${policy}: ${tier} (${tierReasons.map(({ rule }) => rule).join(', ')})`;
  const found = shownReasons(reasons).map((line) => `  ${line}`);
  const rest = limits.map((limit) => `  note: ${limit}`);
  return [title, ...found, ...rest].join('\n');
}
