import tab from '@bomb.sh/tab/commander';
import { Command, CommanderError } from 'commander';
import { AssayError } from '../core/errors.ts';
import { version } from '../platform/version.ts';
import type { Api } from './api.ts';
import { agentCommand } from './commands/agent.ts';
import { appraiseCommand } from './commands/appraise.ts';
import { bundleCommands } from './commands/bundle.ts';
import { caCommands } from './commands/ca.ts';
import { digestsCommands } from './commands/digests.ts';
import { enrolCommands } from './commands/enrol.ts';
import { initCommand } from './commands/init.ts';
import { inspectCommands } from './commands/inspect.ts';
import { issueCommands } from './commands/issue.ts';
import { nodeCommands } from './commands/node.ts';
import { policyCommands } from './commands/policy.ts';
import { resultCommands } from './commands/result.ts';
import { serveCommand } from './commands/serve.ts';
import { spireCommands } from './commands/spire.ts';
import { trustCommands } from './commands/trust.ts';
import { watchCommands } from './commands/watch.ts';
import { webhookCommands } from './commands/webhook.ts';
import type { CommandContext } from './context.ts';
import { EXIT, EXIT_CODE_HELP, exitCodeOf } from './exit-codes.ts';
import { shown } from './output/table.ts';

/** What the program needs from outside; main.ts gives the real things, tests give others. */
export interface ProgramPorts {
  readonly openApi: (profile: string | undefined) => Promise<Api>;
  readonly now: () => Date;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

interface GlobalOptions {
  readonly json?: boolean;
  readonly profile?: string;
}

/** Runs one command line and says with which code the process should end. */
export async function run(argv: readonly string[], ports: ProgramPorts): Promise<number> {
  const program = build(ports);
  try {
    await program.command.parseAsync([...argv], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : EXIT.ok;
  } catch (error) {
    return fail(error, ports, program.command.opts<GlobalOptions>().json === true);
  } finally {
    await program.close();
  }
}

function build(ports: ProgramPorts): { command: Command; close: () => Promise<void> } {
  const command = new Command('assay')
    .description('Remote attestation for nodes with a TPM 2.0')
    .version(version)
    .option('--json', 'one JSON value on standard output, for programs')
    .option('--profile <file>', 'client profile (default: $ASSAY_PROFILE, then the usual places)')
    .addHelpText('after', `\n${EXIT_CODE_HELP}`)
    .configureOutput({
      writeOut: (text) => ports.out(text.trimEnd()),
      writeErr: (text) => ports.err(text.trimEnd()),
    })
    .exitOverride();
  let api: Promise<Api> | undefined;
  const context = (): CommandContext => {
    const { json = false, profile } = command.opts<GlobalOptions>();
    const open = () => {
      api ??= ports.openApi(profile);
      return api;
    };
    return { api: open, json, now: ports.now, out: ports.out, note: ports.err };
  };
  initCommand(command, context);
  caCommands(command, context);
  serveCommand(command);
  agentCommand(command);
  nodeCommands(command, context);
  policyCommands(command, context);
  digestsCommands(command, context);
  appraiseCommand(command, context);
  inspectCommands(command, context);
  enrolCommands(command, context);
  trustCommands(command, context);
  issueCommands(command, context);
  spireCommands(command, context);
  resultCommands(command, context);
  bundleCommands(command, context);
  watchCommands(command, context);
  webhookCommands(command, context);
  tab(command, { completionCommandName: 'completion' });
  for (const sub of command.commands) sub.exitOverride();
  return { command, close: async () => (await api?.catch(() => undefined))?.close() };
}

function fail(error: unknown, ports: ProgramPorts, json: boolean): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const code = error instanceof TypeError || error instanceof RangeError ? EXIT.usage : exitCodeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const findings = error instanceof AssayError ? error.details : [];
  if (json) {
    const problem = { error: error instanceof AssayError ? error.code : 'internal', message, findings };
    ports.out(JSON.stringify(problem, null, 2));
    return code;
  }
  ports.err(
    `error: ${message
      .split('\n')
      .map((line) => shown(line, ''))
      .join('\n')}`,
  );
  const news = findings.filter((finding) => !message.includes(finding.message));
  for (const { rule, message: text } of news)
    ports.err(`  ${shown(rule === undefined ? text : `${rule}: ${text}`)}`);
  return code;
}
