import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { toBase64 } from '../../../core/bytes/encoding.ts';
import type { AssayError } from '../../../core/errors.ts';
import { issueCertificate } from '../../../issuer/domain/issue.ts';
import { type Database, openDatabase } from '../../../platform/database/index.ts';
import { silent, useDatabase } from '../support/database.ts';
import { addNode, challenge, endTrust, issuerOn, pass } from './fixture.ts';

const database = useDatabase();
const ISSUERS = 3;
const NODES = 4;
const ROUNDS = 6;

let pools: Database[] = [];
beforeAll(() => {
  const open = () => openDatabase({ connection: database().connection, logger: silent, maxConnections: 6 });
  pools = Array.from({ length: ISSUERS + 1 }, open);
});
afterAll(async () => {
  await Promise.all(pools.map((pool) => pool.close()));
});

interface Handed {
  readonly serial: string;
  readonly nodeId: string;
}

/** Asks one issuer for certificates as fast as it can until told to stop. */
async function demand(issuer: Database, nodeId: string, stop: AbortSignal, handed: Handed[]): Promise<void> {
  const deps = issuerOn(issuer);
  while (!stop.aborted) {
    const nonce = toBase64(await challenge(issuer, nodeId));
    const issued = await issueCertificate(deps, nodeId, { mode: 'delivered', nonce }).catch(
      (error: AssayError) => {
        if (error.details[0]?.rule !== 'node.failed' && error.details[0]?.rule !== 'node.banned') throw error;
        return undefined;
      },
    );
    if (issued) handed.push({ serial: issued.serial, nodeId });
    else await sleep(2);
  }
}

/** Fails and passes the node at random moments. Answers the last certificate's number at the end of each epoch. */
async function judge(verifier: Database, nodeId: string): Promise<number[]> {
  const ends: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await sleep(Math.random() * 120);
    ends.push(await endTrust(verifier, nodeId, Math.random() < 0.5 ? 'failed' : 'banned'));
    if (round < ROUNDS - 1) await pass(verifier, nodeId);
  }
  return ends;
}

test('issue.fresh: after a committed fail nothing of the old epoch is recorded, with several issuers under load', async () => {
  const nodes = await Promise.all(Array.from({ length: NODES }, () => addNode(database())));
  for (const { id } of nodes) await pass(database(), id);
  const [verifier, ...issuers] = pools;
  if (!verifier) throw new Error('no pools');
  const handed: Handed[] = [];
  const stop = new AbortController();
  const load = issuers.flatMap((issuer) => nodes.map(({ id }) => demand(issuer, id, stop.signal, handed)));
  const ends = await Promise.all(nodes.map(({ id }) => judge(verifier, id)));
  await sleep(50);
  stop.abort();
  await Promise.all(load);

  expect(handed.length).toBeGreaterThan(NODES * ROUNDS);
  for (const [index, node] of nodes.entries()) {
    for (const [epoch, seq] of (ends[index] ?? []).entries()) {
      const late = 'SELECT 1 FROM certificate WHERE node_id = $1 AND epoch <= $2 AND seq > $3';
      const { rowCount } = await database().pool.query(late, [node.id, epoch, seq]);
      expect(rowCount, `certificates of epoch ${epoch} after its end`).toBe(0);
    }
  }
  const { rows } = await database().pool.query<{ serial: string; revoked: boolean; at: Date | null }>(
    "SELECT encode(serial, 'hex') AS serial, revoked, revoked_at AS at FROM certificate_status",
  );
  const revoked = new Set(rows.filter((row) => row.revoked && row.at).map(({ serial }) => serial));
  expect(handed.filter(({ serial }) => !revoked.has(serial))).toEqual([]);
});

test('issue.fresh: an issue that waits for a fail sees it, and a fail that waits for an issue revokes it', async () => {
  const { id } = await addNode(database());
  await pass(database(), id);
  const [verifier, issuer] = pools;
  if (!verifier || !issuer) throw new Error('no pools');
  const client = await verifier.pool.connect();
  await client.query('BEGIN');
  await client.query("UPDATE node_trust SET standing = 'failed', epoch = epoch + 1 WHERE node_id = $1", [id]);
  const nonce = toBase64(await challenge(issuer, id));
  const waiting = issueCertificate(issuerOn(issuer), id, { mode: 'delivered', nonce });
  waiting.catch(() => {});
  const first = await Promise.race([waiting.catch(() => 'refused'), sleep(300, 'waits')]);
  expect(first).toBe('waits');
  await client.query('COMMIT');
  client.release();
  await expect(waiting).rejects.toMatchObject({ details: [{ rule: 'node.failed' }] });
});

test('trust.expires: trust that ran out while the issue waited for the lock is no trust', async () => {
  const { id } = await addNode(database());
  await pass(database(), id, 31);
  const [verifier, issuer] = pools;
  if (!verifier || !issuer) throw new Error('no pools');
  const client = await verifier.pool.connect();
  await client.query('BEGIN');
  await client.query('SELECT 1 FROM node_trust WHERE node_id = $1 FOR UPDATE', [id]);
  const nonce = toBase64(await challenge(issuer, id));
  const waiting = issueCertificate(issuerOn(issuer), id, { mode: 'delivered', nonce });
  waiting.catch(() => {});
  await sleep(2200);
  await client.query('COMMIT');
  client.release();
  await expect(waiting).rejects.toMatchObject({ details: [{ rule: 'node.stale' }] });
});

test('id.one-record: an issue waits for an enrolment or a retirement that is under way', async () => {
  const { id } = await addNode(database());
  await pass(database(), id);
  const [registrar, issuer] = pools;
  if (!registrar || !issuer) throw new Error('no pools');
  const client = await registrar.pool.connect();
  const nonce = toBase64(await challenge(issuer, id));
  await client.query('BEGIN');
  await client.query("UPDATE node SET admission = 'retired', retired_at = now() WHERE id = $1", [id]);
  const waiting = issueCertificate(issuerOn(issuer), id, { mode: 'delivered', nonce });
  waiting.catch(() => {});
  expect(await Promise.race([waiting.catch(() => 'refused'), sleep(300, 'waits')])).toBe('waits');
  await client.query('COMMIT');
  client.release();
  await expect(waiting).rejects.toMatchObject({ details: [{ rule: 'node.retired' }] });
});
