import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { AssayError } from '../../core/errors.ts';
import type { DigestSet } from '../../policies/digests/digest-set.ts';
import { type CommandContext, show } from '../context.ts';
import { FORMATS, type Format, isFormat } from '../digests/formats.ts';
import { type Imported, importSources } from '../digests/import.ts';
import { readSet } from '../digests/read-set.ts';
import { EXIT } from '../exit-codes.ts';
import { renderFields, renderTable, shown } from '../output/table.ts';

type Context = () => CommandContext;

interface StoredSet {
  readonly id: string;
  readonly name: string;
  readonly entries: number;
  readonly sizeBytes: number;
  readonly createdAt: string;
  readonly createdBy: string;
}

interface ImportFlags {
  readonly name?: string;
  readonly format?: string;
  readonly root: string;
  readonly mergedUsr: boolean;
  readonly output?: string;
}

export function digestsCommands(program: Command, context: Context): void {
  const digests = program
    .command('digests')
    .description(
      'digest sets: which bytes may be at which path, and which EFI images may run (policies name them in ima.allow, boot.applications)',
    );
  digests
    .command('import <source...>')
    .description('make a set from SBOMs, packages, file systems or the list of a node, and store it')
    .option('--name <name>', 'name for people; with it the set is stored in the verifier')
    .option('--output <file>', 'also, or only, write the set to a file')
    .option(
      '--format <format>',
      `one of ${Object.keys(FORMATS).join(', ')} (default: what the source looks like)`,
    )
    .option('--root <path>', 'where relative paths of SBOMs begin', '/')
    .option('--no-merged-usr', '/bin, /lib and /sbin are directories of their own, not links into /usr')
    .action((sources: string[], flags: ImportFlags) => importSet(context(), sources, flags));
  digests
    .command('add <file>')
    .description('store a set that was written to a file')
    .requiredOption('--name <name>', 'name for people')
    .action(async (file: string, { name }: { name: string }) => {
      const set = await readSet(file);
      show(context(), await store(context(), set, name), renderStored);
    });
  digests
    .command('list')
    .description('all stored sets')
    .action(() => list(context()));
  digests
    .command('show <file>')
    .description('what is in a set: sources, packages, or what it knows of one path; talks to no service')
    .option('--path <path>', 'only this path')
    .action((file: string, flags: { path?: string }) => showSet(context(), file, flags.path));
}

async function importSet(
  context: CommandContext,
  sources: readonly string[],
  flags: ImportFlags,
): Promise<void> {
  const { name, output, root, mergedUsr } = flags;
  if (name === undefined && output === undefined) {
    throw new AssayError(
      'invalid-request',
      'say where the set should go: --name NAME stores it, --output FILE writes it',
    );
  }
  const format = flags.format === undefined ? {} : { format: checkFormat(flags.format) };
  const progress = context.json ? () => {} : context.note;
  const imported = await importSources({
    sources,
    root,
    rules: { mergedUsr },
    onProgress: progress,
    ...format,
  });
  if (output !== undefined)
    await writeFile(output, imported.set.bytes, { flag: 'wx' }).catch(cannotWrite(output));
  const stored = name === undefined ? undefined : await store(context, imported.set, name);
  show(context, summaryOf(imported, output, stored?.name), renderImported);
}

function checkFormat(name: string): Format {
  if (isFormat(name)) return name;
  throw new AssayError(
    'invalid-request',
    `there is no format "${name}"; expected ${Object.keys(FORMATS).join(', ')}`,
  );
}

function summaryOf({ set, report }: Imported, output: string | undefined, name: string | undefined) {
  const files = set.size - set.imageDigests;
  return { id: set.id, entries: set.size, files, packages: set.packages.length, ...report, output, name };
}

function renderImported(summary: ReturnType<typeof summaryOf>): string {
  const skipped = summary.skipped.map(
    ({ reason, count, examples }) => `\n  left out ${count}: ${reason}, such as ${shown(examples[0])}`,
  );
  const place = summary.name === undefined ? `written to ${summary.output}` : `stored as ${summary.name}`;
  const images = summary.images > 0 ? `, ${summary.images} of them EFI images,` : '';
  return `${summary.files} files${images} of ${summary.packages} packages, ${place}${skipped.join('')}\n${summary.id}`;
}

async function store(context: CommandContext, set: DigestSet, name: string) {
  const api = await context.api();
  const path = `/v1/digest-sets?${new URLSearchParams({ name })}`;
  const { id, entries } = await api.sendBytes<{ id: string; entries: number }>('verifier', path, set.bytes);
  return { id, entries, name };
}

function renderStored({ id, entries, name }: { id: string; entries: number; name: string }): string {
  return `${entries} files, stored as ${name}\n${id}`;
}

async function list(context: CommandContext): Promise<void> {
  const api = await context.api();
  const { sets } = await api.get<{ sets: StoredSet[] }>('verifier', '/v1/digest-sets');
  show(context, sets, (rows) =>
    rows.length === 0
      ? 'no digest sets; "assay digests import" makes one'
      : renderTable<StoredSet>(
          [
            { title: 'NAME', value: (row) => shown(row.name) },
            { title: 'FILES', value: (row) => String(row.entries), align: 'right' },
            { title: 'BYTES', value: (row) => String(row.sizeBytes), align: 'right' },
            { title: 'STORED', value: (row) => row.createdAt },
            { title: 'BY', value: (row) => shown(row.createdBy) },
            { title: 'ID', value: (row) => row.id },
          ],
          rows,
        ),
  );
}

async function showSet(context: CommandContext, file: string, path: string | undefined): Promise<void> {
  const set = await readSet(file);
  if (path !== undefined) {
    const files = set
      .filesAt(new Uint8Array(Buffer.from(path)))
      .map(({ algorithm, digest, package: from }) => ({
        digest: `${algorithm}:${Buffer.from(digest).toString('hex')}`,
        package: from ?? null,
      }));
    if (files.length === 0) process.exitCode = EXIT.no;
    show(context, files, (rows) =>
      rows.length === 0
        ? `the set does not know ${shown(path)}`
        : rows
            .map(
              (row) =>
                `${row.digest}  ${row.package ? shown(`${row.package.name} ${row.package.version}`) : '-'}`,
            )
            .join('\n'),
    );
    return;
  }
  const summary = { id: set.id, entries: set.size, sources: set.sources, packages: set.packages };
  show(context, summary, ({ sources, packages }) =>
    renderFields([
      ['id', set.id],
      ['files', String(set.size - set.imageDigests)],
      ['digests of EFI images', String(set.imageDigests)],
      [
        'from',
        sources
          .map(({ kind, sha256 }) => (sha256 === undefined ? kind : `${kind} sha256:${sha256}`))
          .join('\n'),
      ],
      [
        'packages',
        packages.map(({ name, version, arch }) => shown(`${name} ${version} ${arch}`.trim())).join('\n') ||
          '-',
      ],
    ]),
  );
}

function cannotWrite(file: string) {
  return (cause: Error) => {
    throw new AssayError('invalid-request', `cannot write ${file}: ${cause.message}`, { cause });
  };
}
