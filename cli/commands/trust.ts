import type { Command } from 'commander';
import type { Finding } from '../../core/finding.ts';
import { parsePemBundle, renderPem } from '../../core/x509/pem.ts';
import { type CommandContext, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { readBytes } from '../files.ts';
import { renderTable, shown, shownReason } from '../output/table.ts';

type Context = () => CommandContext;

export function trustCommands(program: Command, context: Context): void {
  const trust = program
    .command('trust')
    .description('TPM manufacturer certificates that EK certificates must lead to');
  trust
    .command('list')
    .description('what is trusted, and where it came from')
    .action(() => list(context()));
  trust
    .command('add <file>')
    .description('trust the certificates of a PEM file; intermediates only complete paths, roots end them')
    .action(async (file: string) => add(context(), file));
  trust
    .command('remove <sha256>')
    .description('no longer trust this certificate')
    .action((sha256: string) => remove(context(), sha256));
  trust
    .command('check <certificate>')
    .description(
      'would this EK certificate be accepted? Shows its path, or what is missing and where to get it',
    )
    .action(async (file: string) => check(context(), file));
}

interface Anchor {
  readonly sha256: string;
  readonly subject: string;
  readonly kind: string;
  readonly source: string;
  readonly notAfter: string;
}

async function list(context: CommandContext): Promise<void> {
  const api = await context.api();
  const { anchors } = await api.get<{ anchors: Anchor[] }>('registrar', '/v1/trust');
  show(context, anchors, (rows) => renderAnchors(rows));
}

function renderAnchors(rows: readonly Anchor[]): string {
  return renderTable<Anchor>(
    [
      { title: 'SHA-256', value: (row) => row.sha256.slice(0, 16) },
      { title: 'KIND', value: (row) => row.kind },
      { title: 'SUBJECT', value: (row) => shown(row.subject) },
      { title: 'UNTIL', value: (row) => row.notAfter.slice(0, 10) },
      { title: 'SOURCE', value: (row) => shown(row.source) },
    ],
    rows,
  );
}

/** PEM of the certificates in a file: TPMs and manufacturers have DER, perhaps with filler behind it. */
async function readCertificates(file: string): Promise<string> {
  return parsePemBundle(await readBytes(file))
    .map((der) => renderPem('CERTIFICATE', der))
    .join('');
}

async function add(context: CommandContext, file: string): Promise<void> {
  const pem = await readCertificates(file);
  const api = await context.api();
  const answer = await api.send<{ added: Anchor[] }>('registrar', 'POST', '/v1/trust', { pem });
  show(context, answer, ({ added }) => (added.length === 0 ? 'nothing new' : renderAnchors(added)));
}

async function remove(context: CommandContext, sha256: string): Promise<void> {
  const api = await context.api();
  await api.send('registrar', 'DELETE', `/v1/trust/${encodeURIComponent(sha256)}`);
  show(context, { removed: sha256 }, () => `${sha256} is no longer trusted; nodes already enrolled stay`);
}

interface CheckAnswer {
  readonly ok: boolean;
  readonly path: readonly string[];
  readonly findings: readonly Finding[];
  readonly faults: readonly string[];
  readonly missingIssuer?: {
    readonly subject: string;
    readonly keyId: string | null;
    readonly urls: readonly string[];
  };
}

async function check(context: CommandContext, file: string): Promise<void> {
  const certificates = await readCertificates(file);
  const api = await context.api();
  const answer = await api.send<CheckAnswer>('registrar', 'POST', '/v1/trust/check', { certificates });
  show(context, answer, renderCheck);
  if (!answer.ok) process.exitCode = EXIT.no;
}

function renderCheck(answer: CheckAnswer): string {
  const faults = answer.faults.map((fault) => `  tolerated fault: ${fault}`);
  if (answer.ok)
    return ['accepted', ...answer.path.map((subject) => `  ${shown(subject)}`), ...faults].join('\n');
  const findings = answer.findings.map((finding) => `  ${shownReason(finding)}`);
  return ['refused', ...findings, ...missing(answer), ...faults].join('\n');
}

function missing({ missingIssuer }: CheckAnswer): string[] {
  if (!missingIssuer) return [];
  const key = missingIssuer.keyId ? `, key id ${missingIssuer.keyId}` : '';
  const urls = missingIssuer.urls.map((url) => `  fetch it from ${shown(url)}`);
  return [`  missing issuer: ${shown(missingIssuer.subject)}${key}`, ...urls, '  then: assay trust add FILE'];
}
