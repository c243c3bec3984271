import type { Command } from 'commander';
import type { BanRecord, CertificateRecord } from '../../core/messages/node.ts';
import { type CommandContext, show } from '../context.ts';
import { relative } from '../output/style.ts';
import { renderTable, shown } from '../output/table.ts';

type Context = () => CommandContext;

/** What the issuer gave out and wants taken back. */
export function issueCommands(program: Command, context: Context): void {
  const cert = program.command('cert').description('node certificates');
  cert
    .command('list')
    .description('certificates, newest first')
    .option('--node <node>', 'only of this node')
    .option('--valid', 'only those that are neither expired nor revoked')
    .action((options: CertOptions) => listCertificates(context(), options));

  const ban = program.command('ban').description('bans: what is wanted, and what has been reached');
  ban
    .command('list')
    .description('all bans')
    .action(() => listBans(context()));
}

interface CertOptions {
  readonly node?: string;
  readonly valid?: boolean;
}

async function listCertificates(context: CommandContext, options: CertOptions): Promise<void> {
  const api = await context.api();
  const node = options.node === undefined ? undefined : await api.nodeId(options.node);
  const query = { node, valid: options.valid ? 'true' : undefined };
  const { certificates } = await api.get<{ certificates: CertificateRecord[] }>(
    'issuer',
    '/v1/certificates',
    query,
  );
  show(context, certificates, (rows) =>
    rows.length === 0 ? 'no certificates' : renderCertificates(rows, context.now()),
  );
}

function renderCertificates(rows: readonly CertificateRecord[], now: Date): string {
  return renderTable<CertificateRecord>(
    [
      { title: 'SERIAL', value: (row) => row.serial },
      { title: 'NODE', value: (row) => row.nodeId },
      { title: 'GROUP', value: (row) => row.group },
      { title: 'KEY', value: (row) => row.keyMode },
      { title: 'EXPIRES', value: (row) => relative(row.notAfter, now) },
      {
        title: 'REVOKED',
        value: (row) => (row.revoked ? `${relative(row.revokedAt, now)} (${shown(row.reason)})` : 'no'),
      },
    ],
    rows,
  );
}

async function listBans(context: CommandContext): Promise<void> {
  const api = await context.api();
  const { bans } = await api.get<{ bans: BanRecord[] }>('issuer', '/v1/bans');
  show(context, bans, (rows) => (rows.length === 0 ? 'no bans' : renderBans(rows, context.now())));
}

type Place = BanRecord['places'][number];

function renderBans(bans: readonly BanRecord[], now: Date): string {
  const rows = bans.flatMap(({ places, ...ban }) =>
    (places.length > 0 ? places : [undefined]).map((at) => ({ ...ban, at })),
  );
  return renderTable<Omit<BanRecord, 'places'> & { readonly at: Place | undefined }>(
    [
      { title: 'NODE', value: (row) => row.nodeId },
      { title: 'WANTED', value: (row) => (row.wanted ? 'banned' : 'not banned') },
      { title: 'SINCE', value: (row) => relative(row.since, now) },
      { title: 'SPIRE', value: (row) => shown(row.at?.place ?? null) },
      { title: 'REACHED', value: ({ at }) => (at?.appliedAt ? relative(at.appliedAt, now) : 'not yet') },
      { title: 'SEEN', value: ({ at }) => relative(at?.confirmedAt ?? null, now) },
      { title: 'FAILURES', value: ({ at }) => String(at?.attempts ?? 0), align: 'right' },
      { title: 'WHY NOT', value: ({ at }) => shown(at?.lastError ?? null) },
    ],
    rows,
  );
}
