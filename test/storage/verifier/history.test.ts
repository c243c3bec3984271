import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createMetrics } from '../../../platform/metrics.ts';
import { sweepHistory } from '../../../verifier/history-sweep.ts';
import { useDatabase } from '../support/database.ts';
import { until } from '../support/until.ts';
import { emptyTables, Lab } from './lab.ts';

const database = useDatabase();
let lab: Lab;
beforeEach(async () => {
  await emptyTables(database());
  lab = new Lab(database());
});
afterEach(() => lab.close());

const DAY_MS = 86_400_000;
const RETENTION = { failsMs: 365 * DAY_MS, passesMs: 90 * DAY_MS };

async function insert(nodeId: string, outcome: string, days: number): Promise<void> {
  await database().pool.query(
    `INSERT INTO verdict (node_id, node_version, outcome, at, evidence)
     VALUES ($1, 1, $2, now() - $3::float8 * interval '1 day', '{"quote":"r"}')`,
    [nodeId, outcome, days],
  );
}

async function left(nodeId: string): Promise<string[]> {
  const { rows } = await database().pool.query<{ text: string }>(
    `SELECT outcome || ' ' || round(extract(epoch FROM now() - at) / 86400) AS text FROM verdict
     WHERE node_id = $1 ORDER BY id`,
    [nodeId],
  );
  return rows.map(({ text }) => text);
}

async function sweep(batch?: number, signal = new AbortController().signal): Promise<Record<string, number>> {
  const removed: Record<string, number> = {};
  await sweepHistory({
    ...{ database: database(), retention: RETENTION, signal },
    ...(batch === undefined ? {} : { batch }),
    onRemoved: (outcome, rows) => {
      removed[outcome] = (removed[outcome] ?? 0) + rows;
    },
  });
  return removed;
}

test('fails are kept longer than passes and what was not decided', async () => {
  const node = randomUUID();
  for (const days of [400, 364, 91, 89])
    for (const outcome of ['fail', 'pass', 'inconclusive']) await insert(node, outcome, days);
  expect(await sweep()).toEqual({ fail: 1, pass: 3, inconclusive: 3 });
  expect(await left(node)).toEqual(['fail 364', 'fail 91', 'fail 89', 'pass 89', 'inconclusive 89']);
  expect(await sweep()).toEqual({});
});

test('the newest verdict of a node stays, however old', async () => {
  const [steady, gone] = [randomUUID(), randomUUID()];
  for (const days of [900, 800]) await insert(steady, 'pass', days);
  for (const days of [900, 800]) await insert(gone, 'fail', days);
  expect(await sweep()).toEqual({ pass: 1, fail: 1 });
  expect(await left(steady)).toEqual(['pass 800']);
  expect(await left(gone)).toEqual(['fail 800']);
});

test('batches are bounded, and what stays does not hold up what comes after it', async () => {
  // The oldest rows are those that stay: one for each of more nodes than a batch holds.
  for (let i = 0; i < 12; i += 1) await insert(randomUUID(), 'pass', 500 - i);
  const node = randomUUID();
  for (let i = 0; i < 11; i += 1) await insert(node, 'pass', 200 - i);
  const sizes: number[] = [];
  await sweepHistory({
    ...{ database: database(), retention: RETENTION, batch: 5, signal: new AbortController().signal },
    onRemoved: (_outcome, rows) => sizes.push(rows),
  });
  expect(Math.max(...sizes)).toBeLessThanOrEqual(5);
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(10);
  expect(await left(node)).toEqual(['pass 190']);
});

test('rows that somebody holds are passed over, not waited for', async () => {
  const node = randomUUID();
  for (const days of [200, 199, 198]) await insert(node, 'pass', days);
  const client = await database().pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT 1 FROM verdict ORDER BY at LIMIT 1 FOR UPDATE');
    expect(await sweep()).toEqual({ pass: 1 });
  } finally {
    await client.query('ROLLBACK');
    client.release();
  }
  expect(await sweep()).toEqual({ pass: 1 });
});

test('several at once delete each row once', async () => {
  const node = randomUUID();
  for (let i = 0; i < 40; i += 1) await insert(node, 'pass', 200 - i);
  const removed = await Promise.all([sweep(3), sweep(3), sweep(3)]);
  expect(removed.reduce((sum, { pass = 0 }) => sum + pass, 0)).toBe(39);
});

test('the end of the process ends it between two batches', async () => {
  const node = randomUUID();
  for (let i = 0; i < 10; i += 1) await insert(node, 'pass', 200 - i);
  const stop = new AbortController();
  stop.abort();
  expect(await sweep(2, stop.signal)).toEqual({});
  expect(await left(node)).toHaveLength(10);
});

test('a verifier does it by itself, by its configuration, and counts', async () => {
  const node = randomUUID();
  for (const days of [3, 2, 1, 0]) await insert(node, 'pass', days);
  for (const days of [3, 2, 1, 0]) await insert(node, 'fail', days);
  const metrics = createMetrics(false);
  await lab.verifier({ history: { passes: '36h', fails: '60h' } }, { metrics });
  await until('old verdicts are gone', async () => (await left(node)).length === 5);
  expect(await left(node)).toEqual(['pass 1', 'pass 0', 'fail 2', 'fail 1', 'fail 0']);
  const text = await metrics.registry.metrics();
  expect(text).toContain('assay_verifier_history_removed_total{outcome="pass"} 2');
  expect(text).toContain('assay_verifier_history_removed_total{outcome="fail"} 1');
});
