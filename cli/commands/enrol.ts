import type { Command } from 'commander';
import { type CommandContext, show } from '../context.ts';
import { readTextFile } from '../files.ts';
import { relative } from '../output/style.ts';
import { renderTable, shown } from '../output/table.ts';

type Context = () => CommandContext;

/** How nodes come in: join tokens and the inventory. */
export function enrolCommands(program: Command, context: Context): void {
  const token = program.command('token').description('one-time join tokens');
  token
    .command('create')
    .description('print the line that joins one node')
    .requiredOption('--group <group>', 'group the node will belong to')
    .option('--ttl <duration>', 'how long it can be used', '1h')
    .option('--note <text>', 'for whom it is')
    .action((options: TokenOptions) => createToken(context(), options));
  token
    .command('list')
    .description('tokens and what became of them')
    .action(() => listTokens(context()));
  token
    .command('revoke <id>')
    .description('make an unused token worthless')
    .action((id: string) =>
      remove(context(), `/v1/tokens/${encodeURIComponent(id)}`, `token ${id} is revoked`),
    );

  const inventory = program
    .command('inventory')
    .description('nodes that are expected, by EK hash or EK certificate');
  inventory
    .command('import <file>')
    .description('add the rows of a CSV file, all or none')
    .addHelpText(
      'after',
      '\nColumns: ek_sha256,certificate_serial,certificate_issuer,asset_name,group\nGive ek_sha256 (SHA-256 of the EK SubjectPublicKeyInfo, hex), or certificate_serial and certificate_issuer.',
    )
    .action(async (file: string) => importInventory(context(), file));
  inventory
    .command('list')
    .description('what is expected, and which node claimed it')
    .action(() => listInventory(context()));
  inventory
    .command('remove <id>')
    .description('no longer expect this one; a node that was admitted stays')
    .action((id: string) =>
      remove(context(), `/v1/inventory/${encodeURIComponent(id)}`, `entry ${id} is removed`),
    );
}

interface TokenOptions {
  readonly group: string;
  readonly ttl: string;
  readonly note?: string;
}

interface CreatedToken {
  readonly id: string;
  readonly token: string;
  readonly expiresAt: string;
  readonly command: string;
}

async function createToken(context: CommandContext, options: TokenOptions): Promise<void> {
  const api = await context.api();
  const token = await api.send<CreatedToken>('registrar', 'POST', '/v1/tokens', { ...options });
  context.note(
    `Run this on the node. It works once, until ${token.expiresAt}; the token is not shown again.`,
  );
  show(context, token, (value) => value.command);
}

interface TokenRow {
  readonly id: string;
  readonly group: string;
  readonly note: string;
  readonly createdBy: string;
  readonly expiresAt: string;
  readonly usedAt: string | null;
  readonly usedBy: string | null;
}

async function listTokens(context: CommandContext): Promise<void> {
  const api = await context.api();
  const { tokens } = await api.get<{ tokens: TokenRow[] }>('registrar', '/v1/tokens');
  show(context, tokens, (rows) =>
    rows.length === 0
      ? 'no tokens'
      : renderTable<TokenRow>(
          [
            { title: 'TOKEN', value: (row) => row.id },
            { title: 'GROUP', value: (row) => row.group },
            { title: 'EXPIRES', value: (row) => relative(row.expiresAt, context.now()) },
            { title: 'USED BY', value: (row) => shown(row.usedBy) },
            { title: 'CREATED BY', value: (row) => shown(row.createdBy) },
            { title: 'NOTE', value: (row) => shown(row.note) },
          ],
          rows,
        ),
  );
}

async function importInventory(context: CommandContext, file: string): Promise<void> {
  const csv = await readTextFile(file);
  const api = await context.api();
  const answer = await api.sendText<{ added: number; unchanged: number }>(
    'registrar',
    '/v1/inventory',
    csv,
    'text/csv',
  );
  show(context, answer, ({ added, unchanged }) => `${added} added, ${unchanged} were there already`);
}

interface InventoryRow {
  readonly id: string;
  readonly ekSha256: string | null;
  readonly certificateSerial: string | null;
  readonly certificateIssuer: string | null;
  readonly assetName: string;
  readonly group: string;
  readonly nodeId: string | null;
}

async function listInventory(context: CommandContext): Promise<void> {
  const api = await context.api();
  const { entries } = await api.get<{ entries: InventoryRow[] }>('registrar', '/v1/inventory');
  show(context, entries, (rows) =>
    rows.length === 0
      ? 'the inventory is empty'
      : renderTable<InventoryRow>(
          [
            { title: 'ENTRY', value: (row) => row.id },
            { title: 'ASSET', value: (row) => shown(row.assetName) },
            { title: 'GROUP', value: (row) => row.group },
            { title: 'EXPECTS', value: expects },
            { title: 'NODE', value: (row) => shown(row.nodeId) },
          ],
          rows,
        ),
  );
}

function expects(row: InventoryRow): string {
  return row.ekSha256 === null
    ? shown(`certificate ${row.certificateSerial} of ${row.certificateIssuer}`)
    : `EK ${row.ekSha256}`;
}

async function remove(context: CommandContext, path: string, done: string): Promise<void> {
  const api = await context.api();
  const answer = await api.send<unknown>('registrar', 'DELETE', path);
  show(context, answer ?? {}, () => done);
}
