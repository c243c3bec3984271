// Measures Assay on this machine, beside bare crypto.verify in the same run.
//   npm run bench [-- --quick] [-- --nodes N] [-- --json FILE]
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { Api } from '../cli/api.ts';
import { benchBoot } from './boot.ts';
import { benchIma } from './ima.ts';
import { median } from './measure.ts';
import { benchPolling, type Polling, settled } from './polling.ts';
import { benchQuotes } from './quotes.ts';
import { checkAll, type FleetProcess, type ServiceProcess, World } from './world.ts';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    nodes: { type: 'string' },
    json: { type: 'string' },
  },
});
const { quick } = options;
const rounds = quick ? 3 : 15;
const windowSeconds = quick ? 4 : 20;
const nodes = Number(options.nodes ?? (quick ? 60 : 1000));
const SETTLE_SECONDS = 120;
const IDLE_SECONDS = quick ? 2 : 25;
// Code of a process that just started is not compiled yet, and then a poll costs half as much again.
const WARM_UP_SECONDS = quick ? 2 : 60;

const policy = (interval: string) => `assay: policy/v1
name: bench
freshness: { interval: ${interval}, trust-for: 30m }
reaction: ban
pcrs:
  bank: sha256
  require: 0-10
  values:
    7: { any-of: ['${'00'.repeat(32)}'] }
`;

const say = (line: string) => process.stdout.write(`${line}\n`);
const [cpu] = cpus();
say(`${cpus().length} × ${cpu?.model ?? 'CPU'}, Node ${process.version}${quick ? ', quick' : ''}\n`);

const quotes = benchQuotes(rounds);
say('Quotes, from the text on the wire to verified PCR values (one core)');
for (const [algorithm, { microseconds, baselineMicroseconds, ratio }] of Object.entries(quotes)) {
  say(
    `  ${algorithm.padEnd(12)} ${rate(microseconds)}/s  ${us(microseconds)} of CPU; crypto.verify alone ${us(baselineMicroseconds)}, ratio ${ratio.toFixed(2)}`,
  );
}

const ima = benchIma(
  quick ? [20_000] : [10_000, 100_000],
  quick ? [20_000] : [10_000, 100_000, 500_000],
  rounds,
);
say('\nMeasured files (IMA), one core');
for (const { digests, milliseconds, mebibytes } of ima.load) {
  say(`  ${count(digests)} digests   loaded in ${milliseconds.toFixed(0)} ms, ${mebibytes.toFixed(0)} MiB`);
}
for (const { entries, digests, entriesPerSecond, hashingPerSecond } of ima.firstSight) {
  const ratio = (entriesPerSecond / hashingPerSecond).toFixed(2);
  say(
    `  ${count(entries)} entries   against ${count(digests).trim()} digests: ${count(entriesPerSecond)} entries/s at first sight, ${ratio} of what node:crypto hashes alone`,
  );
}
for (const { order, entries, entriesPerSecond, hashingPerSecond } of ima.seenBefore) {
  const ratio = (entriesPerSecond / hashingPerSecond).toFixed(2);
  say(
    `  ${count(entries)} entries   that another node showed, ${order}: ${count(entriesPerSecond)} entries/s, ${ratio} of what node:crypto hashes alone`,
  );
}
say(`       20 entries   new, in a poll: ${ima.incrementalMicroseconds.toFixed(0)} µs of CPU`);

const boot = benchBoot(rounds);
say(`\nBoot log of ${boot.events} events under debian-shim-grub, one core`);
for (const [what, { microseconds, ratio }] of [
  ['never seen', boot.firstSight],
  ['seen before', boot.seen],
] as const) {
  say(`  ${what.padEnd(12)} ${us(microseconds)} of CPU, ${ratio.toFixed(1)} × its digests extended alone`);
}

const world = await World.create();
try {
  const results = await endToEnd();
  if (options.json !== undefined) {
    await writeFile(
      options.json,
      `${JSON.stringify({ cpu: cpu?.model, quick, quotes, ima, boot, ...results }, null, 2)}\n`,
    );
  }
} finally {
  await world.close();
}

async function endToEnd() {
  const services = await world.serve('registrar-and-issuer', ['registrar', 'issuer']);
  const first = await world.serve('verifier', ['verifier']);
  const api = await world.api();
  await api.send('verifier', 'POST', '/v1/policies', { document: policy('1s') });
  await api.send('verifier', 'PUT', '/v1/assignments', { subject: 'default', policy: 'bench' });
  await sleep(2000);
  const empty = await first.numbers();
  say(
    `\nEnd to end: ${nodes} simulated nodes, a process of their own; PostgreSQL durable; all on this machine`,
  );
  const fleet = await world.fleet(nodes);
  await settled([first], nodes, SETTLE_SECONDS);
  const one = await poll([first]);
  // Collected while it has little to do: under load it is mostly what was not collected yet.
  await slowDown(api);
  const full = await first.numbers();
  const memoryKiB = (full.residentBytes - empty.residentBytes) / nodes / 1024;
  say(
    `  memory       ${memoryKiB.toFixed(0)} KiB of verifier for each node (resident; ${mib(empty.residentBytes)} without any)`,
  );
  const issuing = await issue(services, fleet);
  const second = await world.serve('verifier-2', ['verifier']);
  await api.send('verifier', 'POST', '/v1/policies', { document: policy('1s') });
  await settled([first, second], nodes, SETTLE_SECONDS);
  await sleep(WARM_UP_SECONDS * 1000);
  const two = await poll([first, second]);
  return { nodes, polling: [one, two], memoryKiB, issuing };
}

// Connections stay, polls all but end.
async function slowDown(api: Api): Promise<void> {
  await api.send('verifier', 'POST', '/v1/policies', { document: policy('10m') });
  await sleep(IDLE_SECONDS * 1000);
}

async function poll(verifiers: readonly ServiceProcess[]): Promise<Polling> {
  const result = await benchPolling(verifiers, nodes, windowSeconds);
  say(
    `  ${verifiers.length} verifier${verifiers.length > 1 ? 's ' : '  '}  ${result.pollsPerSecond.toFixed(0)} polls/s, each ${result.cpuMilliseconds.toFixed(2)} ms of verifier CPU = ${result.inVerifications.toFixed(1)} × crypto.verify (${us(result.verifyMicroseconds)} meanwhile); latest ${result.latenessSeconds.toFixed(1)} s behind`,
  );
  return result;
}

/** Each node asks over a connection of its own, as nodes do; recorded before it is answered. */
async function issue(services: ServiceProcess, fleet: FleetProcess) {
  const modes = ['tpm', 'delivered'] as const;
  const results = [];
  for (const mode of modes) {
    const seconds: number[] = [];
    const cpuMilliseconds: number[] = [];
    for (let round = 0; round < (quick ? 1 : 3); round += 1) {
      const before = await services.numbers();
      const answer = await fleet.command(`certificates ${mode}`);
      checkAll(answer, nodes);
      const after = await services.numbers();
      seconds.push(answer.seconds ?? Number.NaN);
      cpuMilliseconds.push(((after.cpuSeconds - before.cpuSeconds) * 1000) / nodes);
    }
    const perSecond = nodes / median(seconds);
    const cpu = median(cpuMilliseconds);
    say(
      `  issuer       ${perSecond.toFixed(0)} certificates/s (key: ${mode}), each ${cpu.toFixed(1)} ms of issuer CPU, a TLS handshake and two requests included`,
    );
    results.push({ mode, perSecond, cpuMilliseconds: cpu });
  }
  return results;
}

function rate(microseconds: number): string {
  return Math.round(1e6 / microseconds)
    .toLocaleString('en')
    .padStart(7);
}

function count(number: number): string {
  return Math.round(number).toLocaleString('en').padStart(9);
}

function us(microseconds: number): string {
  return `${microseconds.toFixed(0)} µs`;
}

function mib(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(0)} MiB`;
}
