import type { Command } from 'commander';
import { AssayError } from '../../core/errors.ts';
import type { NodeState } from '../../core/messages/common.ts';
import type { Exposure } from '../../core/messages/exposure.ts';
import type { NodeDetail, NodeSummary, VerdictRecord } from '../../core/messages/node.ts';
import type { Api } from '../api.ts';
import { type CommandContext, show } from '../context.ts';
import { exposureFields } from '../output/exposure.ts';
import { relative, styleOutcome, styleState } from '../output/style.ts';
import { type Field, renderFields, renderTable, shown, shownReason, shownReasons } from '../output/table.ts';
import { nodeMeasuredCommands } from './node-measured.ts';

type Context = () => CommandContext;

export function nodeCommands(program: Command, context: Context): void {
  const node = program
    .command('node')
    .description('nodes: who they are, whether they are trusted, and why not');
  node
    .command('list')
    .description('all nodes, one a line')
    .option(
      '--state <state>',
      'only nodes in this state (pending, enrolled, trusted, stale, failed, banned, retired)',
    )
    .option('--group <group>', 'only nodes of this group')
    .action((options: ListOptions) => list(context(), options));
  node
    .command('show <node>')
    .description('everything about one node: id, unique prefix of an id, or alias')
    .action((name: string) => showNode(context(), name));
  node
    .command('history <node>')
    .description('verdicts of a node, newest first')
    .option('--limit <n>', 'how many', '20')
    .action((name: string, options: { limit: string }) => history(context(), name, options.limit));
  nodeMeasuredCommands(node, context);
  node
    .command('exposure <node>')
    .description('what it holds until when: certificate, agent in SPIRE, and what hangs on that')
    .action((name: string) => showExposure(context(), name));
  node
    .command('approve <node>')
    .description('admit a node that waits for a person')
    .requiredOption('--group <group>', 'group it belongs to')
    .option('--asset <name>', 'its name in your inventory')
    .option('--reason <text>', 'kept in the audit log', 'approved on the command line')
    .action((name: string, options: ApproveOptions) => approve(context(), name, options));
  act(
    node,
    context,
    'ban',
    'end trust in a node, revoke its certificates and ban it until a person lifts the ban',
    'verifier',
  );
  act(node, context, 'unban', 'lift a ban; the node must prove itself afresh', 'verifier');
  act(node, context, 'retire', 'take a node out of service for good', 'registrar');
  node
    .command('attest <node>')
    .description('ask a node for evidence now, and show the verdict')
    .action((name: string) => attest(context(), name));
}

interface ListOptions {
  readonly state?: NodeState;
  readonly group?: string;
}

async function list(context: CommandContext, options: ListOptions): Promise<void> {
  const api = await context.api();
  const { nodes } = await api.get<{ nodes: NodeSummary[] }>('registrar', '/v1/nodes', { ...options });
  show(context, nodes, (rows) => (rows.length === 0 ? 'no nodes' : renderNodes(rows, context.now())));
}

export function renderNodes(rows: readonly NodeSummary[], now: Date): string {
  return renderTable<NodeSummary>(
    [
      { title: 'NODE', value: (row) => row.id },
      { title: 'NAME', value: (row) => shown(row.assetName ?? row.alias) },
      { title: 'GROUP', value: (row) => shown(row.group) },
      { title: 'STATE', value: (row) => styleState(row.state) },
      { title: 'TIER', value: (row) => row.tier },
      { title: 'TRUSTED', value: (row) => relative(row.trustedUntil, now) },
      { title: 'VERDICT', value: (row) => styleOutcome(row.outcome) },
      { title: 'WHY', value: why },
    ],
    rows,
  );
}

function why(row: NodeSummary): string {
  if (row.state === 'pending') return shown(row.admission);
  const [first, ...more] = row.reasons;
  if (!first) return '';
  return shownReason(first) + (more.length > 0 ? ` (+${more.length})` : '');
}

async function showNode(context: CommandContext, name: string): Promise<void> {
  const api = await context.api();
  const node = await api.get<NodeDetail>('registrar', `/v1/nodes/${encodeURIComponent(name)}`);
  if (!HAS_ENDED.has(node.state)) {
    show(context, node, (value) => renderFields(nodeFields(value, context.now())));
    return;
  }
  const exposure = await exposureOrWhy(api, node.id);
  show(context, { ...node, exposure }, (value) =>
    renderFields([
      ...nodeFields(value, context.now()),
      ...(typeof exposure === 'string'
        ? ([['exposure', shown(exposure)]] as const)
        : exposureFields(exposure, context.now())),
    ]),
  );
}

/** What such a node still holds is the first question. */
const HAS_ENDED: ReadonlySet<NodeState> = new Set(['failed', 'banned', 'retired']);

async function exposureOrWhy(api: Api, id: string): Promise<Exposure | string> {
  try {
    return await getExposure(api, id);
  } catch (error) {
    if (!(error instanceof AssayError)) throw error;
    return `not known: ${error.message}`;
  }
}

function nodeFields(node: NodeDetail, now: Date): readonly Field[] {
  const ek = node.ekCertificate;
  return [
    ['node', node.id],
    ['name', shown(node.assetName ?? node.alias)],
    ['alias', shown(node.alias)],
    ['group', shown(node.group)],
    ['state', styleState(node.state)],
    ['tier', `${node.tier}: ${node.tierReasons.map((reason) => shownReason(reason)).join('\n')}`],
    [
      'trusted',
      node.trustedUntil ? `until ${node.trustedUntil} (${relative(node.trustedUntil, now)})` : 'no',
    ],
    ['verdict', `${styleOutcome(node.outcome)} ${relative(node.judgedAt, now)}`],
    ['reasons', shownReasons(node.reasons).join('\n') || undefined],
    ['policy', shown(node.policy)],
    ['passes', String(node.passes)],
    ['epoch', String(node.epoch)],
    ['admission', shown(node.admission)],
    ['admitted', node.admittedAt ? `${node.admittedAt} by ${shown(node.admittedBy)}` : undefined],
    ['contact', shown(node.contact)],
    ['tls sha256', shown(node.tlsSha256)],
    ['tpm', shown([node.tpm.manufacturer, node.tpm.model, node.tpm.version].filter(Boolean).join(' '))],
    ['tpm clock', node.tpmClock ? clockText(node.tpmClock) : undefined],
    ['ak', `${node.akAlgorithm}, name ${node.akName}`],
    ['ek sha256', node.ekSha256],
    [
      'ek certificate',
      ek
        ? [shown(ek.subject, '(empty subject)'), ...ek.path.slice(1).map((item) => shown(item))].join(
            '\n  <- ',
          )
        : 'none',
    ],
    ['ek faults', ek && ek.faults.length > 0 ? ek.faults.join(', ') : undefined],
    ['notes', node.notes.map((note) => shownReason(note)).join('\n') || undefined],
    ['record', `version ${node.version}, enrolled ${node.enrolledAt}`],
    [
      'changed by',
      node.changedBy ? shown(`${node.changedBy}${node.note ? `: ${node.note}` : ''}`) : undefined,
    ],
  ];
}

function clockText(clock: NonNullable<NodeDetail['tpmClock']>): string {
  return `${clock.clock} ms, ${clock.resetCount} resets, ${clock.restartCount} restarts`;
}

async function history(context: CommandContext, name: string, limit: string): Promise<void> {
  const api = await context.api();
  const id = await api.nodeId(name);
  const { verdicts } = await api.get<{ verdicts: VerdictRecord[] }>('verifier', `/v1/nodes/${id}/verdicts`, {
    limit,
  });
  show(context, verdicts, (rows) => (rows.length === 0 ? 'no verdict yet' : renderVerdicts(rows)));
}

async function showExposure(context: CommandContext, name: string): Promise<void> {
  const api = await context.api();
  const found = await getExposure(api, await api.nodeId(name));
  show(context, found, (value) => renderFields(exposureFields(value, context.now())));
}

function getExposure(api: Api, id: string): Promise<Exposure> {
  return api.get<Exposure>('issuer', `/v1/nodes/${id}/exposure`);
}

function renderVerdicts(rows: readonly VerdictRecord[]): string {
  return renderTable<VerdictRecord>(
    [
      { title: 'ID', value: (row) => String(row.id), align: 'right' },
      { title: 'AT', value: (row) => row.at },
      { title: 'VERDICT', value: (row) => styleOutcome(row.outcome) },
      { title: 'POLICY', value: (row) => shown(row.policy) },
      {
        title: 'REASONS',
        value: (row) => row.reasons.map((reason) => shownReason(reason)).join('; '),
      },
    ],
    rows,
  );
}

interface ApproveOptions {
  readonly group: string;
  readonly asset?: string;
  readonly reason: string;
}

async function approve(context: CommandContext, name: string, options: ApproveOptions): Promise<void> {
  const api = await context.api();
  const id = await api.nodeId(name);
  const body = {
    group: options.group,
    reason: options.reason,
    ...(options.asset === undefined ? {} : { assetName: options.asset }),
  };
  const answer = await api.send<unknown>('registrar', 'POST', `/v1/nodes/${id}/approve`, body);
  show(context, answer, () => `${id} is admitted to group ${options.group}`);
}

const DONE = { ban: 'is banned', unban: 'is no longer banned', retire: 'is retired' } as const;

function act(
  parent: Command,
  context: Context,
  name: keyof typeof DONE,
  description: string,
  service: 'verifier' | 'registrar',
): void {
  parent
    .command(`${name} <node>`)
    .description(description)
    .requiredOption('--reason <text>', 'kept in the audit log')
    .action(async (node: string, options: { reason: string }) => {
      const current = context();
      const api = await current.api();
      const id = await api.nodeId(node);
      const answer = await api.send<unknown>(service, 'POST', `/v1/nodes/${id}/${name}`, {
        reason: options.reason,
      });
      show(current, answer, () => `${id} ${DONE[name]}`);
    });
}

async function attest(context: CommandContext, name: string): Promise<void> {
  const api = await context.api();
  const id = await api.nodeId(name);
  const verdict = await api.send<Pick<VerdictRecord, 'outcome' | 'reasons'>>(
    'verifier',
    'POST',
    `/v1/nodes/${id}/attest`,
  );
  show(context, verdict, (value) =>
    [styleOutcome(value.outcome), ...shownReasons(value.reasons).map((line) => `  ${line}`)].join('\n'),
  );
  if (verdict.outcome !== 'pass') process.exitCode = 1;
}
