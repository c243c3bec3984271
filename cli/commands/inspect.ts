import { type Command, Option } from 'commander';
import { fromHex } from '../../core/bytes/encoding.ts';
import { AssayError, ParseError } from '../../core/errors.ts';
import type { RegisterKind } from '../../core/eventlog/event.ts';
import { type InspectedEventLog, inspectEventLog } from '../../core/eventlog/index.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import { type CommandContext, show } from '../context.ts';
import { decodeBinary } from '../evidence-files/decode.ts';
import { EXIT } from '../exit-codes.ts';
import { readBytes } from '../files.ts';
import { inspectEk, trustedRoots } from '../inspect/ek.ts';
import { inspectImaList } from '../inspect/ima-list.ts';
import { inspectQuote } from '../inspect/quote.ts';
import { renderEk } from '../inspect/render-ek.ts';
import { renderEventLog } from '../inspect/render-event-log.ts';
import { renderImaList } from '../inspect/render-ima-list.ts';
import { renderQuote } from '../inspect/render-quote.ts';

interface EventLogOptions {
  readonly registers?: RegisterKind;
  readonly digests?: boolean;
}

interface ImaOptions {
  readonly bank: HashName;
  readonly pcr10?: string;
  readonly entries?: boolean;
}

interface QuoteOptions {
  readonly attest: string;
  readonly signature?: string;
  readonly key: string;
  readonly pcrs?: string;
  readonly nonce?: string;
}

export function inspectCommands(program: Command, context: () => CommandContext): void {
  const inspect = program
    .command('inspect')
    .description(
      'look at evidence in files; talks to no service. - reads standard input. Exit code 2: the file is broken',
    );
  inspect
    .command('eventlog <file>')
    .description(
      'a boot log: events, what of them their digests prove, and where they lead. Exit code 2 when it is cut',
    )
    .addOption(
      new Option('--registers <kind>', 'of a TPM or of an Intel TD; without it the log tells').choices([
        'pcr',
        'tdx',
      ]),
    )
    .option('--digests', 'show the digests of each event')
    .action(async (file: string, options: EventLogOptions) => eventLog(context(), file, options));
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
  inspect
    .command('quote')
    .description(
      'a quote: what it says, and each thing that a verifier looks at. Exit code 1 when one is not so',
    )
    .requiredOption(
      '--attest <file>',
      'TPMS_ATTEST (tpm2_quote -m), TPM2B_ATTEST, or the quote of a Keylime agent',
    )
    .option('--signature <file>', 'TPMT_SIGNATURE (tpm2_quote -s), or a plain one')
    .requiredOption('--key <file>', 'the AK: TPM2B_PUBLIC, TPMT_PUBLIC, PEM or DER')
    .option('--pcrs <file>', 'register values, as tpm2_quote -o writes them')
    .option('--nonce <hex>', 'what was asked with')
    .action(async (options: QuoteOptions) => quote(context(), options));
  inspect
    .command('ek <certificate>')
    .description(
      'an EK certificate: its key, who vouches for it, or who is missing. Exit code 1 when it is not accepted',
    )
    .option('--roots <directory>', 'PEM and DER files of manufacturers to trust, besides those that ship')
    .action(async (file: string, options: { roots?: string }) => ek(context(), file, options.roots));
}

async function eventLog(
  context: CommandContext,
  file: string,
  { registers, digests = false }: EventLogOptions,
): Promise<void> {
  const log = readLog(decodeBinary(await readBytes(file)), file, registers);
  if (log.warnings.some(({ code }) => code === 'truncated')) process.exitCode = EXIT.usage;
  show(context, log, (value) => renderEventLog(value, digests));
}

function readLog(bytes: Uint8Array, file: string, registers?: RegisterKind): InspectedEventLog {
  try {
    return inspectEventLog(bytes, registers);
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

async function quote(context: CommandContext, options: QuoteOptions): Promise<void> {
  const optional = async (file: string | undefined) => (file === undefined ? undefined : readBytes(file));
  const [signature, pcrs] = [await optional(options.signature), await optional(options.pcrs)];
  const inspected = inspectQuote({
    ...{ attest: await readBytes(options.attest), key: await readBytes(options.key) },
    ...(signature ? { signature } : {}),
    ...(pcrs ? { pcrs } : {}),
    ...(options.nonce === undefined ? {} : { nonce: fromHex(options.nonce, '--nonce') }),
  });
  if (inspected.checks.some(({ ok }) => ok === false)) process.exitCode = EXIT.no;
  show(context, inspected, renderQuote);
}

async function ek(context: CommandContext, file: string, roots: string | undefined): Promise<void> {
  const certificate = decodeBinary(await readBytes(file));
  const trusted = await trustedRoots(roots);
  const inspected = named(file, () => inspectEk(certificate, trusted, context.now()));
  if (!inspected.ok) process.exitCode = EXIT.no;
  show(context, inspected, renderEk);
}

/** Says which file it is, and what else it may be. */
function named<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const isAttribute = error.field.endsWith('tbsCertificate.issuer') && error.message.includes('tag 0xa0');
    const hint = isAttribute ? '; it is an attribute certificate, such as one of a platform' : '';
    throw new AssayError(
      'malformed',
      `${file} is no EK certificate that can be read: ${error.message}${hint}`,
    );
  }
}
