import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { toHex } from '../../../core/bytes/encoding.ts';
import { publishAll, publishCrl } from '../../../issuer/crl/publisher.ts';
import type { CrlRequest } from '../../../issuer/signer/signer.ts';
import { crlStore } from '../../../issuer/store/crls.ts';
import { useDatabase } from '../support/database.ts';
import { addNode, endTrust, fakeSigner, pass } from './fixture.ts';

const database = useDatabase();
const HOUR = { intervalMs: 3_600_000, lifetimeMs: 7_200_000 };
const NOW = { intervalMs: 0, lifetimeMs: 7_200_000 };

let signers = 0;
function signer() {
  signers += 1;
  const made = fakeSigner(`ca ${signers}`);
  return { ...made, requests: made.signed as CrlRequest[] };
}

async function certificate(
  nodeId: string,
  authority: { readonly sha256: Uint8Array },
  expires = '1 hour',
): Promise<string> {
  const serial = randomBytes(16);
  await database().pool.query(
    `INSERT INTO certificate (serial, node_id, node_version, epoch, group_name, authority_sha256, key_mode, subject_spki_sha256, not_before, not_after)
     SELECT $1, $2, 1, epoch, 'web', $3, 'tpm', '', now() - interval '1 day', now() + $4::interval FROM node_trust WHERE node_id = $2`,
    [serial, nodeId, authority.sha256, expires],
  );
  return toHex(serial);
}

async function node(): Promise<string> {
  const { id } = await addNode(database());
  await pass(database(), id);
  return id;
}

const serialsOf = (request: CrlRequest | undefined) =>
  request?.revoked.map(({ serial }) => toHex(serial)).sort();

test('the first CRL is empty and has number 1', async () => {
  const ca = signer();
  const published = await publishCrl(crlStore(database()), ca, HOUR);
  expect(published?.number).toBe(1n);
  expect(ca.requests).toMatchObject([{ number: 1n, revoked: [] }]);
  const { thisUpdate, nextUpdate } = ca.requests[0] ?? {};
  expect(Number(thisUpdate) % 1000).toBe(0);
  expect(Number(nextUpdate) - Number(thisUpdate)).toBe(HOUR.lifetimeMs);
});

test('a CRL lists what was revoked for this CA, with the time and the reason', async () => {
  const [ca, other] = [signer(), signer()];
  const [failed, banned, retired, good] = [await node(), await node(), await node(), await node()];
  const expected = [
    await certificate(failed, ca),
    await certificate(banned, ca),
    await certificate(retired, ca),
  ];
  await certificate(good, ca);
  await certificate(failed, other);
  await endTrust(database(), failed, 'failed');
  await endTrust(database(), banned, 'banned');
  await database().pool.query("UPDATE node SET admission = 'retired', retired_at = now() WHERE id = $1", [
    retired,
  ]);
  await pass(database(), failed);
  const fresh = await certificate(failed, ca);
  await publishCrl(crlStore(database()), ca, HOUR);
  const [request] = ca.requests;
  expect(serialsOf(request)).toEqual([...expected].sort());
  expect(serialsOf(request)).not.toContain(fresh);
  const reasons = new Map(request?.revoked.map((entry) => [toHex(entry.serial), entry.reason]));
  expect(expected.map((serial) => reasons.get(serial))).toEqual([
    'keyCompromise',
    'privilegeWithdrawn',
    'cessationOfOperation',
  ]);
  for (const { revokedAt } of request?.revoked ?? [])
    expect(Date.now() - revokedAt.getTime()).toBeLessThan(60_000);
});

test('without a change there is no new CRL before the interval is over', async () => {
  const ca = signer();
  await publishCrl(crlStore(database()), ca, HOUR);
  await publishCrl(crlStore(database()), ca, HOUR);
  expect(ca.requests).toHaveLength(1);
  const next = await publishCrl(crlStore(database()), ca, NOW);
  expect(next?.number).toBe(2n);
});

test('a change makes a new CRL at once', async () => {
  const ca = signer();
  const id = await node();
  await certificate(id, ca);
  await publishCrl(crlStore(database()), ca, HOUR);
  await endTrust(database(), id, 'failed');
  const next = await publishCrl(crlStore(database()), ca, HOUR);
  expect(next?.number).toBe(2n);
  expect(ca.requests[1]?.revoked).toHaveLength(1);
});

test('an expired certificate is on one more CRL, and then on none', async () => {
  const ca = signer();
  const id = await node();
  const serial = await certificate(id, ca, '1 second');
  await endTrust(database(), id, 'failed');
  const store = crlStore(database());
  await publishCrl(store, ca, HOUR);
  await database().pool.query(
    "UPDATE certificate SET not_after = now() - interval '1 second' WHERE node_id = $1",
    [id],
  );
  await database().pool.query(
    "UPDATE crl SET this_update = now() - interval '1 minute' WHERE authority_sha256 = $1",
    [ca.sha256],
  );
  await publishCrl(store, ca, NOW);
  await publishCrl(store, ca, NOW);
  expect(ca.requests.map(serialsOf)).toEqual([[serial], [serial], []]);
});

test('several issuers at once make one sequence', async () => {
  const ca = signer();
  const published = await Promise.all(
    Array.from({ length: 6 }, () => publishCrl(crlStore(database()), ca, NOW)),
  );
  expect(published.map((crl) => Number(crl?.number)).sort()).toEqual([1, 2, 3, 4, 5, 6]);
});

test('an event that all issuers hear makes one CRL', async () => {
  const ca = signer();
  const id = await node();
  await certificate(id, ca);
  await endTrust(database(), id, 'failed');
  await Promise.all(Array.from({ length: 6 }, () => publishCrl(crlStore(database()), ca, HOUR)));
  expect(ca.requests).toHaveLength(1);
});

test('when signing fails the last CRL stays', async () => {
  const ca = signer();
  const store = crlStore(database());
  await publishCrl(store, ca, HOUR);
  const broken = { ...ca, signCrl: () => Promise.reject(new Error('the token is gone')) };
  await expect(publishCrl(store, broken, NOW)).rejects.toThrow('the token is gone');
  expect((await store.current(ca.sha256))?.number).toBe(1n);
});

test('one CA that fails does not hold up another', async () => {
  const [broken, ca] = [
    { ...signer(), signCrl: () => Promise.reject(new Error('the token is gone')) },
    signer(),
  ];
  const signers = new Map([
    ['a', broken],
    ['b', ca],
  ]);
  const written: string[] = [];
  const write = async (group: string) => void written.push(group);
  const round = publishAll({ store: crlStore(database()), signers, schedule: HOUR, write });
  await expect(round).rejects.toThrow('1 of 2');
  expect(written).toEqual(['b']);
});
