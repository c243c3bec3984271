import { type Command, Option } from 'commander';
import { AssayError, ParseError } from '../../core/errors.ts';
import { type InspectedEventLog, inspectEventLog } from '../../core/eventlog/index.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import { type CommandContext, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { readBytes } from '../files.ts';
import { inspectImaList } from '../inspect/ima-list.ts';
import { renderEventLog } from '../inspect/render-event-log.ts';
import { renderImaList } from '../inspect/render-ima-list.ts';

interface ImaOptions {
  readonly bank: HashName;
  readonly pcr10?: string;
  readonly entries?: boolean;
}

export function inspectCommands(program: Command, context: () => CommandContext): void {
  const inspect = program
    .command('inspect')
    .description(
      'look at evidence in files; talks to no service. - reads standard input. Exit code 2: the file is broken',
    );
  inspect
    .command('eventlog <file>')
    .description('a boot log: events, what of them their digests prove, and where they lead')
    .action(async (file: string) => show(context(), eventLog(await readBytes(file), file), renderEventLog));
  inspect
    .command('ima <file>')
    .description(
      'a measurement list, binary or text. Exit code 1 when it was changed, or does not lead to --pcr10',
    )
    .addOption(
      new Option('--bank <bank>', 'of the value')
        .choices(['sha1', 'sha256', 'sha384', 'sha512'])
        .default('sha256'),
    )
    .option('--pcr10 <hex>', 'how many entries lead to this value of PCR 10?')
    .option('--entries', 'show each entry')
    .action(async (file: string, options: ImaOptions) => ima(context(), file, options));
}

function eventLog(bytes: Uint8Array, file: string): InspectedEventLog {
  try {
    return inspectEventLog(bytes);
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new AssayError('malformed', `${file} is no event log that can be read: ${error.message}`);
  }
}

async function ima(
  context: CommandContext,
  file: string,
  { bank, pcr10, entries = false }: ImaOptions,
): Promise<void> {
  const list = inspectImaList(await readBytes(file), file, {
    bank,
    ...(pcr10 === undefined ? {} : { pcr10 }),
  });
  if (list.wrongHash !== null || list.leadsTo?.entries === null) process.exitCode = EXIT.no;
  show(context, list, (value) => renderImaList(value, entries));
}
