import { setTimeout as sleep } from 'node:timers/promises';
import { AssayError } from '../core/errors.ts';
import type { Finding } from '../core/finding.ts';
import type { Database } from '../platform/database/index.ts';
import type { Admission, Outcome, Standing } from '../platform/database/schema.ts';

/** The verifier that holds the node's shard hears this, whichever was asked. */
export const ATTEST_CHANNEL = 'assay_attest';
const LOOK_MS = 50;

export interface Verdict {
  readonly outcome: Outcome;
  readonly reasons: Finding[];
}

interface Row {
  readonly admission: Admission;
  readonly standing: Standing | null;
  readonly outcome: Outcome | null;
  readonly reasons: Finding[] | null;
  readonly fresh: boolean | null;
}

/**
 * Has a node attested now, by whoever holds it, and waits for a verdict whose nonce is younger than the request.
 *
 * @param extent `whole`: with all of its measurement list, and the evidence is kept
 *
 * @throws {AssayError} `not-found`, or `conflict` for a node that is not attested
 */
export async function attestOnce(
  database: Database,
  nodeId: string,
  timeoutMs: number,
  extent: 'news' | 'whole' = 'news',
): Promise<Verdict | undefined> {
  const { rows } = await database.pool.query<{ since: string }>('SELECT clock_timestamp()::text AS since');
  const since = rows[0]?.since ?? '';
  checkAttested(nodeId, await read(database, nodeId, since));
  await database.pool.query('SELECT pg_notify($1, $2)', [ATTEST_CHANNEL, `${nodeId} ${extent}`]);
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const row = await read(database, nodeId, since);
    if (row?.fresh && row.outcome) return { outcome: row.outcome, reasons: row.reasons ?? [] };
    // Somebody may ban it meanwhile.
    checkAttested(nodeId, row);
    if (Date.now() > deadline) return undefined;
    await sleep(LOOK_MS);
  }
}

async function read({ pool }: Database, nodeId: string, since: string): Promise<Row | undefined> {
  const { rows } = await pool.query<Row>(
    `SELECT n.admission, t.standing, t.outcome, t.reasons, t.judged_at > $2::timestamptz AS fresh
     FROM node n LEFT JOIN node_trust t ON t.node_id = n.id WHERE n.id = $1`,
    [nodeId, since],
  );
  return rows[0];
}

function checkAttested(nodeId: string, row: Row | undefined): void {
  if (!row) throw new AssayError('not-found', `there is no node ${nodeId}`);
  if (row.admission !== 'admitted') throw new AssayError('conflict', `node ${nodeId} is ${row.admission}`);
  if (row.standing === 'banned') {
    throw new AssayError(
      'conflict',
      `node ${nodeId} is banned, and banned nodes are not attested; unban it first`,
    );
  }
}
