import { join } from 'node:path';
import type { Command } from 'commander';
import Type from 'typebox';
import { parseYaml } from '../../core/document.ts';
import { parseDuration } from '../../core/duration.ts';
import { AssayError } from '../../core/errors.ts';
import type { AuthoritiesAnswer, AuthorityRecord } from '../../core/messages/authorities.ts';
import { acceptsNodes, EVASIONS, type EvasionResult, tryEvasion } from '../../platform/spire/evasion.ts';
import { EvasionNode, type EvasionPki } from '../../platform/spire/evasion-node.ts';
import { SpireServer } from '../../platform/spire/server.ts';
import { planTtls, type TtlPlan } from '../../platform/spire/ttl-plan.ts';
import { type CommandContext, show } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { readTextFile } from '../files.ts';
import { readCa } from '../init/keyed-files.ts';
import { layoutOf } from '../init/layout.ts';
import { relative } from '../output/style.ts';
import { renderFields, renderTable, shown } from '../output/table.ts';

type Context = () => CommandContext;

export function spireCommands(program: Command, context: Context): void {
  const spire = program.command('spire').description('SPIRE (docs/spire.md)');
  spire
    .command('snippet')
    .description('server and agent configuration that fits this PKI')
    .option('--group <group>', 'trust only the issuing CA of this group')
    .action((options: { group?: string }) => snippet(context(), options.group));
  spire
    .command('anchor')
    .description('what the certificates of nodes lead to, in PEM: the file of ca_bundle_path')
    .option('--group <group>', 'only the issuing CAs of this group')
    .action((options: { group?: string }) => anchor(context(), options.group));
  spire
    .command('selectors')
    .description('issuing CAs, and the selectors of their nodes that registration entries can rest on')
    .action(() => selectors(context()));
  spire
    .command('plan')
    .description('which lifetimes keep what a failed node may do to so long')
    .requiredOption('--exposure <duration>', 'until no SVID of its workloads is valid, such as 5m')
    .option('--interval <duration>', "how often nodes are asked: the policy's freshness.interval", '30s')
    .action((options: { exposure: string; interval: string }) => plan(context(), options));
  spire
    .command('self-test')
    .description(
      "try on your SPIRE server what a compromised node would try, with throw-away nodes; exit code 1 when something gets through. Needs the issuing CA's key: run it where `assay init` was run",
    )
    .requiredOption('--server <host:port>', 'where spire-server answers agents')
    .requiredOption('--bundle <file>', 'its trust bundle: spire-server bundle show')
    .requiredOption('--group <group>', 'whose issuing CA signs the throw-away nodes')
    .option('--directory <directory>', 'the installation', 'assay-data')
    .option('--trust-domain <name>', "default: the installation's")
    .option('--socket <path>', "spire-server's own socket: to ban, and to remove the throw-away agents")
    .addHelpText('after', '\nASSAY_PASSPHRASE opens the key of the issuing CA.')
    .action((options: SelfTestOptions) => selfTest(context(), options));
}

async function snippet(context: CommandContext, group: string | undefined): Promise<void> {
  const api = await context.api();
  const answer = await api.get<{ server: string; agent: string }>('issuer', '/v1/spire-snippet', { group });
  show(context, answer, ({ server, agent }) => `${server.trimEnd()}\n\n${agent.trimEnd()}`);
}

const AUTHORITIES = ['issuer', '/v1/authorities'] as const;

async function anchor(context: CommandContext, group: string | undefined): Promise<void> {
  const api = await context.api();
  const { root, groups } = await api.get<AuthoritiesAnswer>(...AUTHORITIES);
  const pem = group === undefined ? root : groups[group];
  if (pem === undefined)
    throw new AssayError(
      'not-found',
      `there is no issuing CA for the group ${group}; there are those of ${Object.keys(groups).join(', ')}`,
    );
  show(context, { pem }, () => pem.trimEnd());
}

async function selectors(context: CommandContext): Promise<void> {
  const api = await context.api();
  const { authorities } = await api.get<AuthoritiesAnswer>(...AUTHORITIES);
  show(context, authorities, (rows) =>
    renderTable<AuthorityRecord>(
      [
        { title: 'CA', value: (row) => row.name },
        { title: 'NODES', value: (row) => `${row.group}${row.tier ? `, tier ${row.tier}` : ''}` },
        { title: 'STATE', value: (row) => row.state },
        { title: 'ENDS', value: (row) => relative(row.notAfter, context.now()) },
        { title: 'SELECTOR', value: (row) => row.selector },
      ],
      rows,
    ),
  );
}

function plan(context: CommandContext, { exposure, interval }: { exposure: string; interval: string }): void {
  const seconds = (text: string) => Math.floor(parseDuration(text) / 1000);
  const made = planTtls({ exposureSeconds: seconds(exposure), intervalSeconds: seconds(interval) });
  show(context, made, (value) => renderPlan(value, seconds(interval)));
}

function renderPlan(made: TtlPlan, interval: number): string {
  return `# policy
freshness: { interval: ${time(interval)}, trust-for: ${time(made.trustFor)} }

# assay.yaml, for each group
ttl: ${time(made.nodeCertificate)}

# spire-server.conf, server { … }; lower x509SVIDTTL and jwtSVIDTTL of entries that say more
default_x509_svid_ttl = "${time(made.workloadSvid)}"
default_jwt_svid_ttl = "${time(made.workloadSvid)}"
agent_ttl = "${time(made.agentSvid)}"

${renderFields([
  ['banned within', time(made.untilBanned)],
  ['last SVID ends', `within ${time(made.exposure)}`],
  [
    'without a ban',
    `within ${time(made.exposureWithoutBan)}: when SPIRE cannot be reached, certificates run out`,
  ],
  ['cost', `${made.signaturesPerHour} SVIDs an hour for each workload`],
])}`;
}

function time(seconds: number): string {
  return seconds % 60 === 0 ? `${seconds / 60}m` : `${seconds}s`;
}

interface SelfTestOptions {
  readonly server: string;
  readonly bundle: string;
  readonly group: string;
  readonly directory: string;
  readonly trustDomain?: string;
  readonly socket?: string;
}

interface SelfTestRow {
  readonly id: string;
  readonly attempt: string;
  /** What the server did. */
  readonly answer: string;
  readonly ok: boolean;
  readonly problem: string | null;
  readonly remedy: string | null;
}

interface SelfTestReport {
  readonly rows: readonly SelfTestRow[];
  /** Agents in SPIRE that the test made and could not remove. */
  readonly left: readonly string[];
}

async function selfTest(context: CommandContext, options: SelfTestOptions): Promise<void> {
  const pki = await readPki(options, context.now());
  const { trustDomain } = pki;
  const target = { address: options.server, trustDomain, bundle: await readTextFile(options.bundle) };
  const admin =
    options.socket === undefined
      ? undefined
      : new SpireServer({ name: options.server, trustDomain, at: { socket: options.socket } });
  const cast = { node: await EvasionNode.create(pki), other: await EvasionNode.create(pki) };
  const results: EvasionResult[] = [];
  try {
    for (const row of EVASIONS) {
      const result = await tryEvasion(target, row, cast);
      results.push(result);
      if (row.id === 'own' && !acceptsNodes(result)) break;
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new AssayError('unavailable', `SPIRE server ${options.server}: ${why}`, { cause });
  }
  const rows = results.map(rowOf);
  if (admin && results.length === EVASIONS.length) rows.push(...(await banRows(admin, target, cast)));
  const made = new Set(results.flatMap(({ answer }) => (answer.ok ? [answer.path] : [])));
  const left: string[] = [];
  for (const path of made) if (!(await admin?.forget(path))) left.push(`spiffe://${trustDomain}${path}`);
  if (rows.some(({ ok }) => !ok)) process.exitCode = EXIT.no;
  show(context, { rows, left }, renderReport);
}

/** A banned node tries again all that would be its own. */
async function banRows(
  admin: SpireServer,
  target: Parameters<typeof tryEvasion>[0],
  cast: Parameters<typeof tryEvasion>[2],
): Promise<SelfTestRow[]> {
  await admin.ban(cast.node.path);
  const rows: SelfTestRow[] = [];
  for (const row of EVASIONS.filter(({ must }) => must === 'own')) {
    const { answer } = await tryEvasion(target, row, cast);
    const base = { id: `banned-${row.id}`, attempt: `banned: ${row.attempt}`, answer: said(answer) };
    rows.push(
      answer.ok
        ? { ...base, ok: false, problem: 'a banned node attests', remedy: row.remedy }
        : { ...base, ok: true, problem: null, remedy: null },
    );
  }
  return rows;
}

function rowOf({ row, answer, problem }: EvasionResult): SelfTestRow {
  const { id, attempt } = row;
  const { message = null, remedy = null } = problem ?? {};
  return { ...{ id, attempt, remedy }, ok: !problem, answer: said(answer), problem: message };
}

function said(answer: EvasionResult['answer']): string {
  return answer.ok ? `accepted as ${answer.path}` : `refused: ${answer.message}`;
}

function renderReport({ rows, left }: SelfTestReport): string {
  const table = renderTable<SelfTestRow>(
    [
      { title: '', value: (row) => (row.ok ? 'ok' : 'FAIL') },
      { title: 'ATTEMPT', value: (row) => row.attempt },
      { title: 'SERVER', value: (row) => shown(row.answer).slice(0, 90) },
    ],
    rows,
  );
  const wrong = rows.filter(({ ok }) => !ok);
  const remedies = [...new Set(wrong.map(({ remedy }) => remedy))];
  const result =
    wrong.length === 0
      ? [`${rows.length} attempts, and nothing is gained by any`]
      : [
          `${wrong.length} of ${rows.length} attempts do not end as they must. To change:`,
          ...remedies.map((one) => `  ${one}`),
        ];
  const rest =
    left.length === 0 ? [] : ['', 'Throw-away agents that are left (spire-server agent evict):', ...left];
  return [table, '', ...result, ...rest].join('\n');
}

// Of assay.yaml the names alone.
const Names = Type.Object({ 'trust-domain': Type.String(), 'nodes-domain': Type.String() });

async function readPki(options: SelfTestOptions, at: Date): Promise<EvasionPki> {
  const layout = layoutOf(options.directory);
  const config = {
    file: join(options.directory, 'assay.yaml'),
    code: 'invalid-config' as const,
    kind: 'configuration',
    maxCharacters: 1024 * 1024,
  };
  const { value } = parseYaml(await readTextFile(config.file), Names, config);
  const issuingCa = await readCa(layout.issuing(options.group), process.env.ASSAY_PASSPHRASE || undefined);
  return {
    issuingCa,
    trustDomain: options.trustDomain ?? value['trust-domain'],
    nodesDomain: value['nodes-domain'],
    // Where the server's anchor is the root it wants to see it; elsewhere it does no harm.
    above: [issuingCa.certificate],
    at,
  };
}
