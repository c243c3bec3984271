import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { renderDsse, signDsse } from '../../../core/dsse.ts';
import { POLICY_TYPE } from '../../../policies/language/signed.ts';
import { addPolicy, assignPolicy } from '../../../verifier/store/policies.ts';
import { useDatabase } from '../support/database.ts';
import { emptyTables, Lab } from './lab.ts';

const database = useDatabase();
const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = (key: KeyObject) => String(key.export({ type: 'spki', format: 'pem' }));
const [release, other] = [pair(), pair()];
const DOCUMENT = `assay: policy/v1
name: test
freshness: { interval: 20s, trust-for: 60s }
reaction: ban
pcrs: { bank: sha256, require: 0-2 }
`;
let lab: Lab;

beforeEach(async () => {
  await emptyTables(database());
  lab = new Lab(database());
});
afterEach(() => lab.close());

describe('policy.signed: where keys are pinned for a group', () => {
  const web = { 'policy-signers': { web: [pem(release.publicKey)] } };

  test('a policy that one of them signed counts', async () => {
    expect(await attested(signedBy(release), web)).toMatchObject({ outcome: 'pass' });
  });

  test.each([
    ['a plain one', DOCUMENT],
    ['one that another key signed', signedBy(other)],
  ])('%s decides nothing', async (_what, stored) => {
    const verdict = await attested(stored, web);
    expect(verdict).toMatchObject({ outcome: 'inconclusive' });
    expect(verdict?.reasons[0]).toMatchObject({
      rule: 'policy.signed',
      message: 'the policy test@1 is not signed by a key that is pinned for group web',
    });
  });

  test('groups that are not named take the keys of *', async () => {
    const everybody = { 'policy-signers': { '*': [pem(release.publicKey)], db: [pem(other.publicKey)] } };
    expect(await attested(signedBy(release), everybody)).toMatchObject({ outcome: 'pass' });
    await emptyTables(database());
    expect(await attested(signedBy(other), everybody)).toMatchObject({ outcome: 'inconclusive' });
  });
});

test('without pinned keys a signed policy counts like any other', async () => {
  expect(await attested(signedBy(other), {})).toMatchObject({ outcome: 'pass' });
});

test('a key that is none is refused at the start', async () => {
  await expect(lab.verifier({ 'policy-signers': { web: ['x'] } })).rejects.toThrow(
    /policy-signers\.web: PEM of/,
  );
});

async function attested(document: string, config: Parameters<Lab['verifier']>[0]) {
  await database().transaction(async (tx) => {
    await addPolicy(tx, { name: 'test', document }, 'test');
    await assignPolicy(tx, { subject: 'default', policy: 'test' }, 'test');
  });
  const { id } = await lab.node();
  await lab.verifier(config);
  return lab.attest(id);
}

function signedBy({ privateKey, publicKey }: ReturnType<typeof pair>): string {
  return renderDsse(signDsse(POLICY_TYPE, new Uint8Array(Buffer.from(DOCUMENT)), privateKey, publicKey));
}
