import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, expect, test } from 'vitest';
import { SERVICE_NAMES } from '../../cli/serve/names.ts';
import type { FleetNode } from '../../tpm-sim/fleet/node.ts';
import { RefusedError } from '../../tpm-sim/fleet/service-client.ts';
import { expectBanned } from './support/checks.ts';
import { OwnPostgres } from './support/postgres.ts';
import { until } from './support/until.ts';
import { policyOf, useWorld } from './support/world.ts';

const LEASE_MS = 3_000;
const OUTAGE_MS = 6_000;
const SIZE = 12;

let postgres: OwnPostgres | undefined;
afterAll(() => postgres?.close());

const world = useWorld({
  lease: `${LEASE_MS}ms`,
  // Longer than the outage and the shortest certificate together: it refuses nobody by itself.
  policy: policyOf({ trustForMs: 70_000 }),
  database: async () => {
    postgres = await OwnPostgres.start();
    return postgres.connection;
  },
});

function server(): OwnPostgres {
  if (!postgres) throw new Error('PostgreSQL was not started');
  return postgres;
}

async function readiness(): Promise<readonly number[]> {
  return Promise.all(
    SERVICE_NAMES.map((name) => world().statusOf(world().installation.urls[name], '/readyz')),
  );
}

interface Answers {
  readonly serials: string[];
  /** Codes and rules. */
  readonly refusals: Set<string>;
}

function reasonOf(error: unknown): string {
  return error instanceof RefusedError ? [error.status, error.code, ...error.rules].join(' ') : String(error);
}

/** Nodes that ask for certificates without a pause: what they were given, and with what they were refused. */
function keepAsking(nodes: readonly FleetNode[]) {
  const answers: Answers = { serials: [], refusals: new Set() };
  let isOver = false;
  const ask = async (node: FleetNode) => {
    while (!isOver) {
      await node.obtainCertificate('tpm').then(
        ({ serial }) => answers.serials.push(serial),
        (error: unknown) => answers.refusals.add(reasonOf(error)),
      );
      await sleep(50);
    }
  };
  const asking = Promise.all(nodes.map(ask));
  return async () => {
    isOver = true;
    await asking;
    return answers;
  };
}

async function recordedSerials(): Promise<ReadonlySet<string>> {
  const { rows } = await world().database.pool.query<{ serial: string }>(
    "SELECT encode(serial, 'hex') AS serial FROM certificate",
  );
  return new Set(rows.map(({ serial }) => serial));
}

async function trusted(): Promise<number> {
  const { rows } = await world().database.pool.query<{ nodes: number }>(
    "SELECT count(*)::int AS nodes FROM node_state WHERE state = 'trusted'",
  );
  return rows[0]?.nodes ?? 0;
}

test('trust.verdict: a killed PostgreSQL fails no node, and every certificate has its record', async () => {
  const fleet = await world().fleet(SIZE);
  const node = await world().trustedNode('real');
  const [cheat, ...honest] = fleet.nodes;
  if (!cheat) throw new Error('the fleet is empty');
  await until('all are trusted', async () => (await trusted()) === SIZE + 1);
  await cheat.obtainCertificate('tpm');
  const pids = SERVICE_NAMES.map((name) => world().process(`${name}-1`).pid);

  const stopAsking = keepAsking(honest.slice(0, 4));
  await sleep(1_000);
  await server().kill();
  const killed = Date.now();
  cheat.behaviour = 'replay';
  await until('nobody is ready', async () => (await readiness()).every((status) => status === 503), 10_000);
  const { registrar, verifier, issuer } = world().installation.urls;
  expect(await world().statusOf(registrar, '/v1/nodes')).toBe(503);
  expect(await world().statusOf(verifier, '/v1/policies')).toBe(503);
  expect(await world().statusOf(issuer, '/v1/certificates')).toBe(503);
  await expect(cheat.enrol()).rejects.toMatchObject({ status: 503, code: 'unavailable' });
  await expect(cheat.obtainCertificate('tpm')).rejects.toMatchObject({ status: 503, code: 'unavailable' });
  for (const name of SERVICE_NAMES) {
    expect(await world().statusOf(world().installation.urls[name], '/healthz'), name).toBe(200);
  }
  await sleep(Math.max(0, killed + OUTAGE_MS - Date.now()));
  expect(node.events.of('destroyed'), 'the agent keeps what is valid').toEqual([]);
  const polls = fleet.polls;

  await server().restart();
  await until(
    'all are ready again',
    async () => (await readiness()).every((status) => status === 200),
    20_000,
  );
  const recovered = new Date();
  const passedAgain = async () => {
    const { rows } = await world().database.pool.query('SELECT 1 FROM node_trust WHERE passed_at > $1', [
      recovered,
    ]);
    return rows.length === SIZE;
  };
  await until('every honest node passes again', passedAgain, 20_000);
  expect(fleet.polls).toBeGreaterThan(polls);
  expect(SERVICE_NAMES.map((name) => world().process(`${name}-1`).pid)).toEqual(pids);
  expect(SERVICE_NAMES.filter((name) => !world().process(`${name}-1`).running)).toEqual([]);

  await expectBanned(world(), cheat.nodeId ?? '', 'quote.nonce');
  await expect(cheat.obtainCertificate('tpm')).rejects.toMatchObject({ rules: ['node.banned'] });
  const { rows: failed } = await world().database.pool.query(
    `SELECT node_id FROM node_trust WHERE (epoch > 0 OR standing <> 'passing') AND node_id <> $1
     UNION SELECT node_id FROM verdict WHERE outcome = 'fail' AND node_id <> $1`,
    [cheat.nodeId],
  );
  expect(failed, 'nobody else failed').toEqual([]);

  await sleep(500);
  const { serials, refusals } = await stopAsking();
  expect([...refusals], 'refused for the time being, and not for a reason').toEqual(['503 unavailable']);
  const recorded = await recordedSerials();
  expect(serials.length).toBeGreaterThan(0);
  expect(
    serials.filter((serial) => !recorded.has(serial)),
    'certificates without a record',
  ).toEqual([]);
  const seen = node.events.of('certificate').map(({ serial }) => serial);
  expect(seen.filter((serial) => !recorded.has(serial))).toEqual([]);
  expect((await node.askCertificate()).nodeId).toBe(node.id);
  expect(await world().api.get('registrar', '/v1/audit/verification')).toMatchObject({ ok: true });
});
