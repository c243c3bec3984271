import { expect, test } from 'vitest';
import type { Fleet } from '../../tpm-sim/fleet/fleet.ts';
import { until } from './support/until.ts';
import { policyOf, TRUST_FOR_MS, useWorld } from './support/world.ts';

const LEASE_MS = 3_000;
const INTERVAL_MS = 2_000;
/** Leases are tended three times in their life, so a dead process's shards are free and seen after this. */
const TAKEOVER_MS = LEASE_MS + LEASE_MS / 3;
const SLACK_MS = 2_000;
const SIZE = 40;
const SHARDS = 64;

const world = useWorld({
  verifiers: 2,
  lease: `${LEASE_MS}ms`,
  policy: policyOf({ intervalMs: INTERVAL_MS }),
});

/** How many shards each living verifier holds. */
async function shares(): Promise<number[]> {
  const { rows } = await world().database.pool.query<{ held: number }>(
    `SELECT count(*)::int AS held FROM poll_shard WHERE owner IS NOT NULL AND lease_until > now()
     GROUP BY owner ORDER BY held`,
  );
  return rows.map(({ held }) => held);
}

async function states(): Promise<Readonly<Record<string, number>>> {
  const { rows } = await world().database.pool.query<{ state: string; nodes: number }>(
    'SELECT state, count(*)::int AS nodes FROM node_state GROUP BY state',
  );
  return Object.fromEntries(rows.map(({ state, nodes }) => [state, nodes]));
}

/** Nodes that passed an attestation which began after a time. */
async function passedSince(time: Date): Promise<number> {
  const { rows } = await world().database.pool.query<{ nodes: number }>(
    'SELECT count(*)::int AS nodes FROM node_trust WHERE passed_at > $1',
    [time],
  );
  return rows[0]?.nodes ?? 0;
}

/** Counts the polls that a fleet sees, in slices of time. */
function watchPolls(fleet: Fleet, sliceMs: number) {
  const slices: number[] = [];
  let before = fleet.polls;
  const timer = setInterval(() => {
    slices.push(fleet.polls - before);
    before = fleet.polls;
  }, sliceMs);
  return () => {
    clearInterval(timer);
    return slices;
  };
}

async function expectNoFail(): Promise<void> {
  const { rows } = await world().database.pool.query(
    `SELECT node_id FROM node_trust WHERE epoch > 0
     UNION SELECT node_id FROM verdict WHERE outcome = 'fail'`,
  );
  expect(rows).toEqual([]);
}

test('trust.expires: a killed verifier is replaced in time, and without any trust runs out', async () => {
  const fleet = await world().fleet(SIZE);
  const node = await world().trustedNode('real');
  await until('all are trusted', async () => (await states()).trusted === SIZE + 1);
  await until('both verifiers have a share', async () => (await shares()).join() === '32,32', 10_000);

  await world().process('verifier-1').kill();
  const killed = performance.now();
  const lost: object[] = [];
  await until('the other has all shards', async () => {
    const now = await states();
    if (now.trusted !== SIZE + 1) lost.push(now);
    return (await shares()).join() === String(SHARDS);
  });
  expect(performance.now() - killed).toBeLessThan(TAKEOVER_MS + SLACK_MS);
  const takenOver = new Date();
  await until('every node is polled again', async () => (await passedSince(takenOver)) === SIZE + 1);
  expect(performance.now() - killed).toBeLessThan(TAKEOVER_MS + 2 * INTERVAL_MS + SLACK_MS);
  expect(await states()).toEqual({ trusted: SIZE + 1 });
  expect(lost, 'no node lost its trust meanwhile').toEqual([]);

  await world().process('verifier-2').kill();
  const alone = Date.now();
  await until('all trust is over', async () => (await states()).stale === SIZE + 1, TRUST_FOR_MS + SLACK_MS);
  expect(Date.now() - alone, 'not sooner than the last passes say').toBeGreaterThan(
    TRUST_FOR_MS - 2 * INTERVAL_MS - SLACK_MS,
  );
  expect(await fleet.each((one) => one.obtainCertificate('tpm'))).toEqual({ 'not-trusted node.stale': SIZE });
  await expect(node.askCertificate()).rejects.toMatchObject({ details: [{ rule: 'node.stale' }] });
  expect(await node.events.until('destroyed')).toMatchObject({ reason: 'expired' });
  const { rows: longer } = await world().database.pool.query(
    'SELECT serial FROM certificate c JOIN node_trust t USING (node_id) WHERE c.not_after > t.trusted_until',
  );
  expect(longer, 'no certificate outlives trust').toEqual([]);
  await expectNoFail();

  const slices = watchPolls(fleet, 250);
  const restarted = new Date();
  await world().serve('verifier', 1);
  await until('every node is trusted again', async () => (await states()).trusted === SIZE + 1, 15_000);
  await until('every node passed', async () => (await passedSince(restarted)) === SIZE + 1);
  const polls = slices();
  expect(Math.max(...polls), `polls by quarters of a second: ${polls}`).toBeLessThan(SIZE * 0.7);
  await node.events.until('material-written', 2);
  expect(await shares()).toEqual([SHARDS]);
  await expectNoFail();
});
