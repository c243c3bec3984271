import type { Command } from 'commander';
import type { TrustEvent } from '../../core/messages/node.ts';
import { type CommandContext, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { renderTable, shown, shownReason } from '../output/table.ts';

type Context = () => CommandContext;

/** What happens, and what happened. */
export function watchCommands(program: Command, context: Context): void {
  const node = program.commands.find((command) => command.name() === 'node') ?? program;
  node
    .command('watch')
    .description('changes of trust as they happen, until Ctrl-C')
    .option('--node <node>', 'only this node')
    .action((options: { node?: string }) => watch(context(), options.node));

  const audit = program.command('audit').description('the log of what people did and how trust changed');
  audit
    .command('list')
    .description('entries, oldest first')
    .option('--after <seq>', 'only later ones', '0')
    .option('--limit <n>', 'how many', '100')
    .action((options: { after: string; limit: string }) => listAudit(context(), options));
  audit
    .command('verify')
    .description('check the hash chain: was an entry changed, removed or put in?')
    .action(() => verifyAudit(context()));
}

async function watch(context: CommandContext, name: string | undefined): Promise<void> {
  const api = await context.api();
  const only = name === undefined ? undefined : await api.nodeId(name);
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  context.note('waiting for changes of trust; Ctrl-C ends');
  for await (const event of api.events<TrustEvent>('verifier', '/v1/events', stop.signal)) {
    if (only === undefined || event.nodeId === only) {
      context.out(context.json ? JSON.stringify(event) : renderEvent(event));
    }
  }
}

function renderEvent(event: TrustEvent): string {
  const reasons = Array.isArray(event.detail.reasons) ? event.detail.reasons : [];
  const text = reasons.map((reason: { rule?: unknown; message?: unknown }) =>
    shownReason({ rule: String(reason.rule), message: String(reason.message) }),
  );
  return [`${event.at}  ${event.nodeId}  ${event.kind}`, ...text].join('  ');
}

interface AuditEntry {
  readonly seq: number;
  readonly at: string;
  readonly actor: string;
  readonly act: string;
  readonly subject: string;
}

async function listAudit(context: CommandContext, options: { after: string; limit: string }): Promise<void> {
  const api = await context.api();
  const { entries } = await api.get<{ entries: AuditEntry[] }>('registrar', '/v1/audit', { ...options });
  show(context, entries, (rows) =>
    renderTable<AuditEntry>(
      [
        { title: 'SEQ', value: (row) => String(row.seq), align: 'right' },
        { title: 'AT', value: (row) => row.at },
        { title: 'WHO', value: (row) => shown(row.actor) },
        { title: 'DID', value: (row) => shown(row.act) },
        { title: 'TO', value: (row) => shown(row.subject) },
      ],
      rows,
    ),
  );
}

async function verifyAudit(context: CommandContext): Promise<void> {
  const api = await context.api();
  const answer = await api.get<{ ok: boolean; entries: number; firstBroken: number | null }>(
    'registrar',
    '/v1/audit/verification',
  );
  show(context, answer, (value) =>
    value.ok
      ? `the chain of ${value.entries} entries is whole`
      : `the chain is broken at entry ${value.firstBroken}`,
  );
  if (!answer.ok) process.exitCode = EXIT.no;
}
