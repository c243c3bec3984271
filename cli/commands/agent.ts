import type { Command } from 'commander';

/** `assay agent …` is the node's program; its own commands and options stand in agent/main.ts. */
export function agentCommand(program: Command): void {
  program
    .command('agent')
    .description("the node's side: join, run, check (the same as the program assay-agent)")
    .argument('[arguments...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(async (args: string[]) => {
      const { runAgentProgram } = await import('../../agent/program.ts');
      process.exitCode = await runAgentProgram(args);
    });
}
