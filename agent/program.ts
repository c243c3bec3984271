import { existsSync } from 'node:fs';
import { text as readStream } from 'node:stream/consumers';
import { Command, CommanderError } from 'commander';
import { untilSignal } from '../platform/lifecycle.ts';
import { createLogger } from '../platform/logging.ts';
import { version } from '../platform/version.ts';
import { startAgent } from './agent.ts';
import { runChecks } from './check/checks.ts';
import { renderChecks } from './check/render.ts';
import { type AgentConfig, type AgentFlags, DEFAULT_CONFIG, loadConfig } from './config.ts';
import { checkKeptConfig, joinOnce, writeConfig } from './join.ts';
import { leave } from './leave.ts';
import { EXIT, EXIT_HELP, exitCodeOf, renderError, renderStep } from './output.ts';
import { type AgentPorts, realPorts } from './ports.ts';
import { readStatus, renderStatus } from './status.ts';

export interface ProgramPorts {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  readonly env: NodeJS.ProcessEnv;
  readonly readInput: () => Promise<string>;
  readonly agent: AgentPorts;
}

const realProgram: ProgramPorts = {
  out: (line) => void process.stdout.write(`${line}\n`),
  err: (line) => void process.stderr.write(`${line}\n`),
  env: process.env,
  readInput: () => readStream(process.stdin),
  agent: realPorts,
};

interface CommonOptions extends AgentFlags {
  readonly config?: string;
}

interface JoinOptions extends CommonOptions {
  readonly token?: string;
}

/** Runs one command line of `assay-agent` and says with which code the process should end. */
export async function runAgentProgram(
  argv: readonly string[],
  ports: ProgramPorts = realProgram,
): Promise<number> {
  let code: number = EXIT.ok;
  const program = build(ports, (result) => {
    code = result;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    ports.err(renderError(error));
    return exitCodeOf(error);
  }
}

function build(ports: ProgramPorts, end: (code: number) => void): Command {
  const program = new Command('assay-agent')
    .description(
      'Assay on a node: proves with its TPM what it booted, and keeps the certificate it gets for that',
    )
    .version(version)
    .addHelpText('after', `\n${EXIT_HELP}`)
    .configureOutput({
      writeOut: (text) => ports.out(text.trimEnd()),
      writeErr: (text) => ports.err(text.trimEnd()),
    })
    .exitOverride();
  addRun(program, ports);
  addJoin(program, ports);
  addCheck(program, ports, end);
  addStatus(program, ports);
  addLeave(program, ports);
  for (const command of program.commands) command.exitOverride();
  return program;
}

function addRun(program: Command, ports: ProgramPorts): void {
  common(program.command('run'))
    .description('run until SIGTERM; this is what the service does')
    .action(async (options: CommonOptions) => {
      const config = configOf(options, ports);
      const logger = createLogger({ level: config.logLevel, name: 'agent' });
      const agent = await startAgent({ config, logger, ports: ports.agent });
      await untilSignal(logger);
      await agent.close();
    });
}

function addJoin(program: Command, ports: ProgramPorts): void {
  common(program.command('join'))
    .description('enrol this machine; "assay token create" prints the line to type')
    .argument(
      '[registrar]',
      'address of the registrar, https://HOST:PORT (default: from the configuration file)',
    )
    .option('--token <token>', 'join token; - reads it from standard input')
    .addHelpText(
      'after',
      '\nThe pin is checked before anything is sent. A token on the command line can be seen by other users of this\nmachine while it runs; --token -, --token-file and ASSAY_JOIN_TOKEN keep it to yourself.',
    )
    .action(async (registrar: string | undefined, options: JoinOptions) => {
      const flags = registrar === undefined ? options : { ...options, registrar };
      const token = options.token === '-' ? (await ports.readInput()).trim() : options.token;
      const file = options.config ?? DEFAULT_CONFIG;
      const config = configOf(flags, ports, token);
      if (registrar !== undefined && existsSync(file)) checkKeptConfig(file, config);
      const self = await joinOnce(config, ports.agent, (event) => {
        const step = renderStep(event);
        if (step !== undefined) ports.out(step);
      });
      if (registrar !== undefined && !existsSync(file)) {
        await writeConfig(file, config, flags);
        ports.out(`wrote    ${file}`);
      }
      ports.out(self.state === 'pending' ? `waiting  ${self.admission}` : `admitted ${self.admission}`);
      ports.out('next     systemctl enable --now assay-agent');
    });
}

function addCheck(program: Command, ports: ProgramPorts, end: (code: number) => void): void {
  common(program.command('check'))
    .description('look for what keeps this machine from attesting, and say what to do')
    .option('--json', 'one JSON value on standard output')
    .action(async (options: CommonOptions & { readonly json?: boolean }) => {
      const results = await runChecks(configOf(options, ports), ports.agent);
      ports.out(options.json === true ? JSON.stringify({ checks: results }, null, 2) : renderChecks(results));
      end(results.some(({ outcome }) => outcome === 'fail') ? EXIT.no : EXIT.ok);
    });
}

function addStatus(program: Command, ports: ProgramPorts): void {
  common(program.command('status'))
    .description('what this machine is to the registrar, and what it holds')
    .option('--json', 'one JSON value on standard output')
    .action(async (options: CommonOptions & { readonly json?: boolean }) => {
      const status = await readStatus(configOf(options, ports), ports.agent.now());
      ports.out(options.json === true ? JSON.stringify(status, null, 2) : renderStatus(status));
    });
}

function addLeave(program: Command, ports: ProgramPorts): void {
  common(program.command('leave'))
    .description('destroy node material and keys on this machine; the record at the registrar stays')
    .requiredOption('--yes', 'really do it')
    .action(async (options: CommonOptions) => {
      const nodeId = await leave(configOf(options, ports), ports.agent.now);
      ports.out('destroyed node material, attestation key and TLS key of this machine');
      if (nodeId !== undefined) ports.out(`next     assay node retire ${nodeId} --reason "…"`);
    });
}

function common(command: Command): Command {
  return command
    .option('--config <file>', `configuration (default: ${DEFAULT_CONFIG}, if it is there)`)
    .option('--registrar <url>', 'address of the registrar')
    .option('--ca <pin or file>', 'sha256:… of the service CA key, or its certificate as PEM')
    .option('--token-file <file>', 'file that holds the join token')
    .option('--tpm <address>', 'device:/dev/tpmrm0, swtpm:unix:/PATH or swtpm:tcp:HOST:PORT')
    .option('--alias <name>', 'name of this machine for people (default: host name)')
    .option('--listen <address>', 'where to listen for the verifier (default: 0.0.0.0:9002)')
    .option('--contact <address>', 'where the verifier reaches this machine (default: host name and port)')
    .option('--state-dir <directory>', 'what is kept over a restart (default: /var/lib/assay-agent)')
    .option('--material-dir <directory>', 'where node.pem is written (default: /run/assay-agent)');
}

function configOf(options: CommonOptions, ports: ProgramPorts, token?: string): AgentConfig {
  // A file that was named must be there; the usual one need not.
  const file = options.config ?? (existsSync(DEFAULT_CONFIG) ? DEFAULT_CONFIG : undefined);
  const isNew = file !== undefined && !existsSync(file) && options.registrar !== undefined;
  return loadConfig({
    file: isNew ? undefined : file,
    flags: options,
    env: ports.env,
    ...(token === undefined || token === '' ? {} : { token }),
  });
}
