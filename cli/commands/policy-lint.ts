import type { Command } from 'commander';
import { AssayError } from '../../core/errors.ts';
import { lintPolicy } from '../../policies/tools/lint.ts';
import { type CommandContext, show } from '../context.ts';
import { readSet } from '../digests/read-set.ts';
import { EXIT } from '../exit-codes.ts';
import { shown } from '../output/table.ts';
import { readPolicyFile } from '../policy-files.ts';

export function policyLintCommand(policy: Command, context: () => CommandContext): void {
  policy
    .command('lint <file>')
    .description('warn of what a policy allows without need; exit code 1 when there is something')
    .option('--set <file...>', 'digest sets that the policy names, to look at their files')
    .action((file: string, options: { set?: string[] }) => lint(context(), file, options.set ?? []));
}

async function lint(context: CommandContext, file: string, setFiles: readonly string[]): Promise<void> {
  const { text, policy } = await readPolicyFile(file);
  const { ima } = policy;
  const sets = await Promise.all(setFiles.map(readSet));
  const stored = ima === undefined || ima.allow.length === 0 ? undefined : await storedSets(context);
  const warnings = lintPolicy({ text, file, sets, ...(stored ? { stored } : {}) });
  if (warnings.length > 0) process.exitCode = EXIT.no;
  show(context, warnings, (all) =>
    all.length === 0
      ? `${file}: no warnings`
      : all
          .map(({ line, column, code, problem, advice }) =>
            shown(`${file}:${line}:${column}: ${code}: ${problem}; ${advice}`),
          )
          .join('\n'),
  );
}

/** Without a profile a policy can be read all the same; a service that should answer and does not is an error. */
async function storedSets(context: CommandContext): Promise<ReadonlySet<string> | undefined> {
  try {
    const api = await context.api();
    const { sets } = await api.get<{ sets: { id: string }[] }>('verifier', '/v1/digest-sets');
    return new Set(sets.map(({ id }) => id));
  } catch (error) {
    if (!(error instanceof AssayError) || error.code !== 'invalid-config') throw error;
    const [why = ''] = error.message.split(/[;\n]/);
    context.note(`not checked whether the verifier has the digest sets: ${why}`);
    return undefined;
  }
}
