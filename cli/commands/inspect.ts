import type { Command } from 'commander';
import { type CommandContext, show } from '../context.ts';
import { readBytes } from '../files.ts';
import { inspectEventLog } from '../inspect/event-log.ts';
import { renderEventLog } from '../inspect/render-event-log.ts';

export function inspectCommands(program: Command, context: () => CommandContext): void {
  const inspect = program
    .command('inspect')
    .description('look at evidence in files; talks to no service. Exit code 2 for a file that is broken');
  inspect
    .command('eventlog <file>')
    .description(
      'a boot log: events, what of them their digests prove, and where they lead. - reads standard input',
    )
    .action(async (file: string) =>
      show(context(), inspectEventLog(await readBytes(file), file), renderEventLog),
    );
}
