import type { Command } from 'commander';
import type { WebhookRecord } from '../../core/messages/webhook.ts';
import { type CommandContext, show } from '../context.ts';
import { relative } from '../output/style.ts';
import { renderTable, shown } from '../output/table.ts';

type Context = () => CommandContext;

/** Where changes of trust are sent (verifier.webhooks). */
export function webhookCommands(program: Command, context: Context): void {
  const webhook = program.command('webhook').description('where changes of trust are sent');
  webhook
    .command('list')
    .description('webhooks, and what waits for them')
    .action(() => list(context()));
  webhook
    .command('test <name>')
    .description('send a message of the type test, and say what the receiver answered')
    .action((name: string) => test(context(), name));
  webhook
    .command('resume <name>')
    .description('deliver again to one that said it is gone, or that waits after failures')
    .action((name: string) => resume(context(), name));
}

async function list(context: CommandContext): Promise<void> {
  const api = await context.api();
  const { webhooks } = await api.get<{ webhooks: WebhookRecord[] }>('verifier', '/v1/webhooks');
  show(context, webhooks, (rows) =>
    rows.length === 0 ? 'no webhooks; verifier.webhooks in assay.yaml has them' : render(rows, context.now()),
  );
}

function render(rows: readonly WebhookRecord[], now: Date): string {
  return renderTable<WebhookRecord>(
    [
      { title: 'NAME', value: (row) => row.name },
      { title: 'URL', value: (row) => shown(row.url) },
      { title: 'STATE', value: (row) => row.state },
      { title: 'WAITING', value: (row) => String(row.pending), align: 'right' },
      { title: 'DELIVERED', value: (row) => relative(row.deliveredAt, now) },
      { title: 'NEXT TRY', value: (row) => relative(row.nextAt, now) },
      { title: 'WHY NOT', value: (row) => shown(row.lastError) },
    ],
    rows,
  );
}

async function test(context: CommandContext, name: string): Promise<void> {
  const api = await context.api();
  const path = `/v1/webhooks/${encodeURIComponent(name)}/test`;
  const answer = await api.send<{ status: number }>('verifier', 'POST', path);
  show(context, answer, ({ status }) => `${name} took it, with status ${status}`);
}

async function resume(context: CommandContext, name: string): Promise<void> {
  const api = await context.api();
  const path = `/v1/webhooks/${encodeURIComponent(name)}/resume`;
  const answer = await api.send<{ name: string }>('verifier', 'POST', path);
  show(context, answer, () => `delivering to ${name} again`);
}
