// Measures how long a node that fails goes on in SPIRE: from the verdict's row to the ban, and to the end of its agent.
// Real spire-server and spire-agents; our services as processes; nodes on swtpm.
//   npm run bench:spire [-- --runs N] [-- --nodes N] [-- --json FILE]
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { pcrExtend } from '../agent/tpm/commands/pcr.ts';
import { Tpm } from '../agent/tpm/tpm.ts';
import { startManagedPostgres } from '../platform/database/managed-postgres.ts';
import { AGENT_PATH_TEMPLATE, agentPath } from '../platform/spire/agent-path.ts';
import { spireBinaries } from '../scripts/spire-binaries.ts';
import type { SwtpmNode } from '../test/e2e/support/node.ts';
import { until } from '../test/e2e/support/until.ts';
import { World } from '../test/e2e/support/world.ts';
import { SpireAgentProcess, SpireServerProcess } from '../test/spire/support/spire.ts';
import { percentile } from './measure.ts';

const { values: options } = parseArgs({
  options: {
    runs: { type: 'string', default: '50' },
    nodes: { type: 'string', default: '10' },
    json: { type: 'string' },
  },
});
const runs = Number(options.runs);
const TRUST_DOMAIN = 'e2e.test';
const LIMIT_SECONDS = { ban: 1, agent: 7 } as const;
/** Agents ask every five seconds: nodes fail at any time between. */
const SPREAD_MS = 5000;
const WAIT_MS = 120_000;

const POLICY = `assay: policy/v1
name: bench
freshness: { interval: 1s, trust-for: 5m }
reaction: ban
pcrs:
  bank: sha256
  require: 0-7
  values:
    4: { any-of: ['${'00'.repeat(32)}'] }
`;

/** Seconds since the fail was recorded. */
interface Times {
  readonly ban: number;
  readonly agent: number;
}

/** A node, and the spire-agent beside it. */
interface Station {
  readonly node: SwtpmNode;
  readonly id: string;
  agent: SpireAgentProcess;
}

const say = (line: string) => process.stdout.write(`${line}\n`);

const scratch = await mkdtemp(join(tmpdir(), 'bench-'));
const closing: (() => Promise<unknown>)[] = [() => rm(scratch, { recursive: true, force: true })];
try {
  const { world, spire } = await start();
  const count = Math.min(runs, Number(options.nodes));
  say(`${runs} nodes that fail, ${count} at a time`);
  const stations: Station[] = [];
  for (let index = 0; index < count; index += 1) stations.push(await open(world, spire, index));
  const times: Times[] = [];
  while (times.length < runs) {
    const wanted = stations.slice(0, runs - times.length);
    if (times.length > 0) await Promise.all(wanted.map((station) => recover(world, spire, station)));
    times.push(...(await Promise.all(wanted.map((station) => fail(world, spire, station)))));
    say(`  ${times.length} of ${runs}`);
  }
  await report(times);
} finally {
  for (const close of closing.reverse()) await close();
}

async function start(): Promise<{ world: World; spire: SpireServerProcess }> {
  // Of its own: it has a user of its own when this one is root.
  const database = await mkdtemp(join(tmpdir(), 'bench-database-'));
  const server = await startManagedPostgres({ directory: database });
  closing.push(
    () => rm(database, { recursive: true, force: true }),
    () => server.stop(),
  );
  const directory = join(scratch, 'spire');
  const world = await World.start({
    policy: POLICY,
    spire: [{ name: 'bench', socket: join(directory, 'server.sock') }],
    database: async () => server.connection,
  });
  closing.push(() => world.close());
  const { groups } = await world.api.get<{ groups: Record<string, string> }>('issuer', '/v1/authorities');
  const place = { binaries: spireBinaries(), directory, trustDomain: TRUST_DOMAIN };
  const spire = await SpireServerProcess.start(place, groups.web ?? '', AGENT_PATH_TEMPLATE);
  closing.push(() => spire.close());
  return { world, spire };
}

async function open(world: World, spire: SpireServerProcess, index: number): Promise<Station> {
  const node = await world.trustedNode(`node-${index}`);
  const station = { node, id: node.id, agent: await attest(spire, node) };
  closing.push(() => station.agent.close());
  return station;
}

async function attest(spire: SpireServerProcess, node: SwtpmNode): Promise<SpireAgentProcess> {
  const path = agentPath(node.id);
  const agent = await SpireAgentProcess.start(spire, join(scratch, node.options.name), node.material);
  const isKnown = async () => (await spire.agents()).some((known) => known.path === path && !known.banned);
  await until(`${path} has attested`, isKnown, WAIT_MS);
  return agent;
}

/** Something is booted that should not be. */
async function fail(world: World, spire: SpireServerProcess, { node, id, agent }: Station): Promise<Times> {
  await sleep(Math.random() * SPREAD_MS);
  const ended = agent.ended.then(() => Date.now());
  await node.stop();
  const tpm = await Tpm.open(node.swtpm.address);
  await tpm.use((channel) => pcrExtend(channel, 4, 'sha256', new Uint8Array(32).fill(1)));
  await tpm.close();
  await node.start();
  const endedAt = await Promise.race([ended, sleep(WAIT_MS).then(() => Number.NaN)]);
  // The verdict's time is that of the start of its transaction; the ban's is after SPIRE has answered.
  const { rows } = await world.database.pool.query<{ failed: Date; banned: Date | null }>(
    `SELECT v.at AS failed, b.applied_at AS banned FROM ban_place b JOIN verdict v USING (node_id)
     WHERE node_id = $1 AND v.outcome = 'fail' ORDER BY v.id DESC LIMIT 1`,
    [id],
  );
  const row = rows[0];
  const known = (await spire.agents()).find(({ path }) => path === agentPath(id));
  if (!row?.banned || !known?.banned)
    throw new Error(`${id} was not banned: ${JSON.stringify({ row, known })}`);
  const since = (time: number) => (time - row.failed.getTime()) / 1000;
  return { ban: since(row.banned.getTime()), agent: since(endedAt) };
}

async function recover(world: World, spire: SpireServerProcess, station: Station): Promise<void> {
  const { node, id } = station;
  await node.stop();
  await node.swtpm.reset();
  await world.api.send('verifier', 'POST', `/v1/nodes/${id}/unban`, { reason: 'benchmark' });
  await node.start();
  await node.events.until('material-written', 1, WAIT_MS);
  const isForgotten = async () => !(await spire.agents()).some(({ path }) => path === agentPath(id));
  await until(`${id} is forgotten`, isForgotten, WAIT_MS);
  station.agent = await attest(spire, node);
}

async function report(times: readonly Times[]): Promise<void> {
  const of = (key: keyof Times) => {
    const values = times.map((one) => one[key]);
    return { p50: percentile(values, 50), p99: percentile(values, 99), most: Math.max(...values) };
  };
  const result = { ban: of('ban'), agent: of('agent') };
  say('\nSeconds after the fail was recorded');
  for (const [key, what] of [
    ['ban', 'banned in SPIRE'],
    ['agent', 'agent has ended'],
  ] as const) {
    const { p50, p99, most } = result[key];
    const verdict = most <= LIMIT_SECONDS[key] ? 'within' : 'NOT WITHIN';
    say(
      `  ${what}   p50 ${p50.toFixed(3)}  p99 ${p99.toFixed(3)}  most ${most.toFixed(3)}   ${verdict} ${LIMIT_SECONDS[key]} s`,
    );
    if (most > LIMIT_SECONDS[key]) process.exitCode = 1;
  }
  if (options.json !== undefined)
    await writeFile(options.json, `${JSON.stringify({ runs: times.length, ...result, times }, null, 2)}\n`);
}
