import { type Command, Option } from 'commander';
import { openPolicy } from '../../policies/language/signed.ts';
import { type CommandContext, show } from '../context.ts';
import { writeTextFile } from '../files.ts';
import { renderTable, shown } from '../output/table.ts';
import { readPolicyFile } from '../policy-files.ts';
import { policyConvertCommand } from './policy-convert.ts';
import { policyDiffCommand } from './policy-diff.ts';
import { policyLintCommand } from './policy-lint.ts';
import { policySignCommands } from './policy-sign.ts';
import { policyTestCommand } from './policy-test.ts';
import { policyTryCommand } from './policy-try.ts';

type Context = () => CommandContext;

interface PolicySummary {
  readonly name: string;
  readonly version: number;
  readonly createdBy: string;
  readonly createdAt: string;
  readonly assignedTo: readonly string[];
}

export function policyCommands(program: Command, context: Context): void {
  const policy = program
    .command('policy')
    .description('policies: what a node must prove (docs/policies.md)')
    .addHelpText(
      'after',
      '\nA file may be - (standard input) or a policy that ships, such as assay:baseline, the least that means something.',
    );
  policy
    .command('check <file>')
    .description('say what is wrong with a policy file; talks to no service')
    .action(async (file: string) => check(context(), file));
  policy
    .command('add <file>')
    .description('store a policy; another text than the newest is the next version')
    .action(async (file: string) => add(context(), file));
  policy
    .command('flatten <file>')
    .description('the one document that a policy means with all that it `extends`; talks to no service')
    .action(async (file: string) => context().out((await readPolicyFile(file)).text.trimEnd()));
  policy
    .command('list')
    .description('all policies and who they are for')
    .action(() => list(context()));
  policy
    .command('show <name[@version]>')
    .description('the text of a policy: the newest version, or the one named')
    .action((named: string) => showPolicy(context(), named));
  policy
    .command('assign <name>')
    .description('say who a policy is for; the most specific assignment counts')
    .option('--default', 'every node without one of its own')
    .option('--group <group>', 'the nodes of a group')
    .option('--node <node>', 'one node')
    .action(async (name: string, options: AssignOptions) => assign(context(), name, options));
  policy
    .command('draft')
    .description("a policy that allows what a node's last passing evidence shows; read it before you add it")
    .requiredOption('--node <node>', 'a node that is known to be good')
    .requiredOption('--name <name>', 'name of the policy')
    .addOption(
      new Option('--boot <profile>', 'judge the boot by its log; without it, by PCR values alone').choices([
        ...['shim-grub', 'uki', 'direct-kernel', 'bios', 'no-log'],
      ]),
    )
    .option('--command-line <text>', "of the node's kernel, for boots that measure only a digest of it")
    .option('--output <file>', 'default: standard output')
    .action(async (options: DraftOptions) => draft(context(), options));
  policyLintCommand(policy, context);
  policyTestCommand(policy, context);
  policyDiffCommand(policy, context);
  policyTryCommand(policy, context);
  policyConvertCommand(policy, context);
  policySignCommands(policy, context);
}

async function check(context: CommandContext, file: string): Promise<void> {
  const { policy } = await readPolicyFile(file);
  const summary = { name: policy.name, pcrs: policy.pcrs.selection, rules: policy.pcrs.rules.length };
  show(context, summary, () => `${file}: policy ${policy.name} is valid, ${summary.rules} PCR rules`);
}

async function add(context: CommandContext, file: string): Promise<void> {
  // Checked here first: the messages then name the file, and nothing is sent that cannot be right.
  const { stored: document } = await readPolicyFile(file);
  const api = await context.api();
  const added = await api.send<{ name: string; version: number }>('verifier', 'POST', '/v1/policies', {
    document,
  });
  show(
    context,
    added,
    ({ name, version }) =>
      `${name}@${version} is stored; assign it with: assay policy assign ${name} --default`,
  );
}

async function list(context: CommandContext): Promise<void> {
  const api = await context.api();
  const { policies } = await api.get<{ policies: PolicySummary[] }>('verifier', '/v1/policies');
  show(context, policies, (rows) =>
    rows.length === 0
      ? 'no policies; without one no node passes (assay policy add FILE, or to begin with: assay policy add assay:baseline)'
      : renderTable<PolicySummary>(
          [
            { title: 'POLICY', value: (row) => `${row.name}@${row.version}` },
            { title: 'FOR', value: (row) => row.assignedTo.join(', ') || '-' },
            { title: 'ADDED', value: (row) => row.createdAt },
            { title: 'BY', value: (row) => shown(row.createdBy) },
          ],
          rows,
        ),
  );
}

async function showPolicy(context: CommandContext, named: string): Promise<void> {
  const [name = '', version] = named.split('@');
  const api = await context.api();
  const policy = await api.get<{ document: string }>('verifier', `/v1/policies/${encodeURIComponent(name)}`, {
    version,
  });
  // People read the document; the envelope, with its signatures, is there with --json.
  show(context, policy, (value) => openPolicy(value.document).text.trimEnd());
}

interface AssignOptions {
  readonly default?: boolean;
  readonly group?: string;
  readonly node?: string;
}

async function assign(context: CommandContext, name: string, options: AssignOptions): Promise<void> {
  const api = await context.api();
  const subject = await subjectOf(options, (node) => api.nodeId(node));
  const answer = await api.send<unknown>('verifier', 'PUT', '/v1/assignments', { subject, policy: name });
  show(context, answer, () => `${name} is assigned to ${subject}`);
}

async function subjectOf(options: AssignOptions, nodeId: (name: string) => Promise<string>): Promise<string> {
  const given = [options.default, options.group, options.node].filter((value) => value !== undefined);
  if (given.length !== 1) throw new TypeError('name exactly one of --default, --group GROUP and --node NODE');
  if (options.group !== undefined) return `group:${options.group}`;
  return options.node === undefined ? 'default' : `node:${await nodeId(options.node)}`;
}

interface DraftOptions {
  readonly node: string;
  readonly name: string;
  readonly boot?: string;
  readonly commandLine?: string;
  readonly output?: string;
}

async function draft(context: CommandContext, options: DraftOptions): Promise<void> {
  const api = await context.api();
  const node = await api.nodeId(options.node);
  const draft = await api.send<{ document: string }>('verifier', 'POST', '/v1/policies/draft', {
    node,
    name: options.name,
    ...(options.boot === undefined ? {} : { profile: options.boot }),
    ...(options.commandLine === undefined ? {} : { commandLine: options.commandLine }),
  });
  if (options.output === undefined) return show(context, draft, (value) => value.document.trimEnd());
  await writeTextFile(options.output, draft.document);
  context.note(`written to ${options.output}; read it, then: assay policy add ${options.output}`);
}
