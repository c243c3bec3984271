import { hash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DigestSetBuilder } from '../../../policies/digests/build.ts';
import { startInstallation } from '../fleet/installation.ts';
import { useDatabase } from '../support/database.ts';

const database = useDatabase();
let installation: Awaited<ReturnType<typeof startInstallation>>;

beforeAll(async () => {
  installation = await startInstallation(database());
});
afterAll(() => installation.close());

const PATH = '/v1/digest-sets?name=test-1';
const policyOf = (set: string) => `assay: policy/v1
name: files
freshness: { interval: 20s, trust-for: 60s }
reaction: ban
pcrs: { bank: sha256, require: 0-7 }
ima: { allow: ['${set}'] }
`;

test('a set is stored once, listed, and can be named by policies from then on', async () => {
  const { api } = installation;
  const bytes = setBytes();
  const id = `sha256:${hash('sha256', bytes)}`;
  await expect(api.send('verifier', 'POST', '/v1/policies', { document: policyOf(id) })).rejects.toThrow(
    `the policy names digest sets that are not stored: ${id}`,
  );
  expect(await api.sendBytes('verifier', PATH, bytes)).toEqual({ id, entries: 1 });
  expect(await api.sendBytes('verifier', '/v1/digest-sets?name=again', bytes)).toEqual({ id, entries: 1 });
  const { sets } = await api.get<{ sets: { id: string; name: string }[] }>('verifier', '/v1/digest-sets');
  expect(sets).toEqual([
    expect.objectContaining({ id, name: 'test-1', entries: 1, sizeBytes: bytes.length }),
  ]);
  expect(await api.send('verifier', 'POST', '/v1/policies', { document: policyOf(id) })).toEqual({
    name: 'files',
    version: 1,
  });
});

test('what is no set is refused with the place', async () => {
  const { api } = installation;
  await expect(api.sendBytes('verifier', PATH, setBytes().subarray(0, 50))).rejects.toThrow(
    /this is no digest set/,
  );
  await expect(api.send('verifier', 'POST', PATH, { a: 1 })).rejects.toThrow(/application\/octet-stream/);
});

function setBytes(): Uint8Array {
  const builder = new DigestSetBuilder();
  const digest = new Uint8Array(hash('sha256', 'ls', 'buffer'));
  builder.add({ path: new Uint8Array(Buffer.from('/usr/bin/ls')), algorithm: 'sha256', digest });
  return builder.build();
}
