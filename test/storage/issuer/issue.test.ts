import { createDecipheriv, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { fromBase64, toBase64, toHex } from '../../../core/bytes/encoding.ts';
import { parseCredentialBlob } from '../../../core/tpm/credential.ts';
import { tpmaObject } from '../../../core/tpm/object-attributes.ts';
import { marshalTpm2bPublic } from '../../../core/tpm/public.ts';
import { issueCertificate } from '../../../issuer/domain/issue.ts';
import { challengeStore } from '../../../issuer/store/challenges.ts';
import { useDatabase } from '../support/database.ts';
import { addNode, certified, challenge, endTrust, fakeSigner, issuerOn, pass, sha256 } from './fixture.ts';

const database = useDatabase();

async function trustedNode(overrides: Readonly<Record<string, unknown>> = {}) {
  const node = await addNode(database(), overrides);
  await pass(database(), node.id);
  return node;
}

const issue = (nodeId: string, request: Parameters<typeof issueCertificate>[2]) =>
  issueCertificate(issuerOn(database()), nodeId, request);
const records = async (nodeId: string) =>
  (await database().pool.query('SELECT * FROM certificate WHERE node_id = $1 ORDER BY seq', [nodeId])).rows;

test('a trusted node gets a certificate that is recorded with what it says', async () => {
  const node = await trustedNode();
  const signer = fakeSigner('web');
  const request = certified(node, await challenge(database(), node.id));
  const issued = await issueCertificate(issuerOn(database(), signer), node.id, request);
  const [record] = await records(node.id);
  expect(issued).toMatchObject({
    nodeId: node.id,
    trustDomain: 'example.org',
    nodesDomain: 'nodes.example.org',
  });
  expect(record).toMatchObject({
    node_id: node.id,
    node_version: 1,
    epoch: 0,
    group_name: 'web',
    key_mode: 'tpm',
  });
  expect(toHex(record.serial)).toBe(issued.serial);
  expect(record.not_after.toISOString()).toBe(issued.notAfter);
  expect(toBase64(record.der)).toBe(issued.certificate);
  expect(signer.signed).toMatchObject([{ nodeId: node.id, notAfter: new Date(issued.notAfter) }]);
});

/** The names of the CAs that were asked to sign for a node of a group whose full tier has one of its own. */
async function signedBy(nodeId: string, request: Parameters<typeof issueCertificate>[2]): Promise<string[]> {
  const [common, full] = [fakeSigner('web'), fakeSigner('web.full')];
  const deps = issuerOn(database());
  const policy = { ttlMs: 600_000, keyModes: ['tpm'] as const, fullTierCa: true };
  const authorities = {
    ...deps.authorities,
    signerOf: (_: string, tier: 'full' | null) => (tier ? full : common),
  };
  await issueCertificate({ ...deps, authorities, groups: new Map([['web', policy]]) }, nodeId, request);
  const [record] = await records(nodeId);
  const used = Object.entries({ common, full }).filter(([, { signed }]) => signed.length > 0);
  expect(used.map(([, { sha256: hash }]) => toHex(hash))).toEqual([toHex(record.authority_sha256)]);
  return used.map(([name]) => name);
}

test.each([
  ['is of the full tier', {}, "'{boot,files}'", 'full'],
  ['has no EK certificate', { ek_certificate: null }, "'{boot,files}'", 'common'],
  ['is a stock Keylime agent', { protocol: 'keylime' }, "'{boot,files}'", 'common'],
  ['was judged without its files', {}, "'{boot}'", 'common'],
  ['was judged under a policy of which that is not known', {}, 'NULL', 'common'],
] as const)('a node that %s is signed for by the CA of its tier', async (_name, change, judges, expected) => {
  const vouched = { ek_certificate: Buffer.from('ek'), ek_path: [Buffer.from('ca')] };
  const channel = { protocol: 'assay', tls_certificate: Buffer.from('tls') };
  const node = await trustedNode({ ...vouched, ...channel, ...change });
  await database().pool.query(
    `INSERT INTO policy (name, version, document, sha256, created_by, judges)
     VALUES ($1, 1, '', sha256(''), 'test', ${judges}::text[])`,
    [node.id],
  );
  await database().pool.query(
    "UPDATE node_trust SET policy_name = $1, policy_version = 1, outcome = 'pass' WHERE node_id = $2",
    [node.id, node.id],
  );
  expect(await signedBy(node.id, certified(node, await challenge(database(), node.id)))).toEqual([expected]);
});

test('the end is the end of trust when that comes before the TTL', async () => {
  const node = await addNode(database());
  await pass(database(), node.id, 100);
  const issued = await issue(node.id, certified(node, await challenge(database(), node.id)));
  const { rows } = await database().pool.query('SELECT trusted_until FROM node_trust WHERE node_id = $1', [
    node.id,
  ]);
  const slack = rows[0].trusted_until.getTime() - Date.parse(issued.notAfter);
  expect(slack).toBeGreaterThanOrEqual(0);
  expect(slack).toBeLessThan(1000);
});

const refusals: readonly [name: string, prepare: (nodeId: string) => Promise<unknown>, rule: string][] = [
  ['a node that failed', (id) => endTrust(database(), id, 'failed'), 'node.failed'],
  ['a banned node', (id) => endTrust(database(), id, 'banned'), 'node.banned'],
  ['trust.expires: a node whose trust ran out', (id) => pass(database(), id, -1), 'node.stale'],
  ['a retired node', (id) => set(id, "admission = 'retired', retired_at = now()"), 'node.retired'],
  ['a pending node', (id) => set(id, "admission = 'pending'"), 'node.pending'],
  ['a group without an issuing CA', (id) => set(id, "group_name = 'other'"), 'issue.group'],
  ['a key mode that the group does not allow', (id) => set(id, "group_name = 'tpm-only'"), 'issue.key-mode'],
  [
    'a node without a verdict',
    (id) => database().pool.query('DELETE FROM node_trust WHERE node_id = $1', [id]),
    'node.enrolled',
  ],
  [
    'id.one-record: a verdict on an earlier version',
    (id) => database().pool.query('UPDATE node_trust SET node_version = 0 WHERE node_id = $1', [id]),
    'node.enrolled',
  ],
];

const set = (id: string, assignment: string) =>
  database().pool.query(`UPDATE node SET ${assignment} WHERE id = $1`, [id]);

for (const [name, prepare, rule] of refusals) {
  test(`nothing is recorded or signed for ${name}`, async () => {
    const node = await trustedNode();
    await prepare(node.id);
    const nonce = await challenge(database(), node.id);
    const signer = fakeSigner('web');
    const attempt = issueCertificate(issuerOn(database(), signer), node.id, {
      mode: 'delivered',
      nonce: toBase64(nonce),
    });
    await expect(attempt).rejects.toMatchObject({ details: [{ rule }] });
    expect(await records(node.id)).toEqual([]);
    expect(signer.signed).toEqual([]);
  });
}

test('a nonce is spent by its first use', async () => {
  const node = await trustedNode();
  const nonce = await challenge(database(), node.id);
  await issue(node.id, certified(node, nonce));
  await expect(issue(node.id, certified(node, nonce))).rejects.toMatchObject({ code: 'challenge-unknown' });
  expect(await records(node.id)).toHaveLength(1);
});

test('a nonce that is used many times at once gives one certificate', async () => {
  const node = await trustedNode();
  const nonce = await challenge(database(), node.id);
  const attempts = Array.from({ length: 8 }, () => issue(node.id, certified(node, nonce)));
  const results = await Promise.allSettled(attempts);
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(await records(node.id)).toHaveLength(1);
});

test('a nonce is spent by a refusal too', async () => {
  const node = await addNode(database());
  const nonce = await challenge(database(), node.id);
  await expect(issue(node.id, certified(node, nonce))).rejects.toMatchObject({ code: 'not-trusted' });
  await pass(database(), node.id);
  await expect(issue(node.id, certified(node, nonce))).rejects.toMatchObject({ code: 'challenge-unknown' });
});

test('a nonce that nobody gave is unknown', async () => {
  const node = await trustedNode();
  await expect(issue(node.id, certified(node, new Uint8Array(32)))).rejects.toMatchObject({
    code: 'challenge-unknown',
  });
});

test("another node's nonce is unknown, and stays its own", async () => {
  const [node, other] = [await trustedNode(), await trustedNode()];
  const nonce = await challenge(database(), other.id);
  await expect(issue(node.id, certified(node, nonce))).rejects.toMatchObject({ code: 'challenge-unknown' });
  await issue(other.id, certified(other, nonce));
});

test('an expired nonce is refused', async () => {
  const node = await trustedNode();
  const nonce = await challenge(database(), node.id, 0);
  await expect(issue(node.id, certified(node, nonce))).rejects.toMatchObject({ code: 'challenge-expired' });
});

test('id.one-record: a nonce from before a new enrolment is unknown', async () => {
  const node = await trustedNode();
  const nonce = await challenge(database(), node.id);
  await set(node.id, 'version = version + 1');
  await pass(database(), node.id);
  await expect(issue(node.id, certified(node, nonce))).rejects.toMatchObject({ code: 'challenge-unknown' });
});

test('id.one-record: a request that was verified before a new enrolment gets nothing', async () => {
  const node = await trustedNode();
  const deps = issuerOn(database());
  const store: typeof deps.store = {
    ...deps.store,
    async record(prepared, rules) {
      await set(node.id, 'version = version + 1');
      await pass(database(), node.id);
      const nonceSha256 = sha256(await challenge(database(), node.id));
      return deps.store.record({ ...prepared, nonceSha256 }, rules);
    },
  };
  const request = certified(node, await challenge(database(), node.id));
  await expect(issueCertificate({ ...deps, store }, node.id, request)).rejects.toMatchObject({
    code: 'challenge-unknown',
  });
  expect(await records(node.id)).toEqual([]);
});

test('issue.tpm: a request of another node, sent with our own identity, gets nothing', async () => {
  const [node, other] = [await trustedNode(), await trustedNode()];
  const nonce = await challenge(database(), node.id);
  const stolen = certified(other, nonce);
  await expect(issue(node.id, stolen)).rejects.toMatchObject({
    code: 'identity-refused',
    details: [{ rule: 'certify.signature' }],
  });
});

test('issue.tpm: a certification over another nonce is refused', async () => {
  const node = await trustedNode();
  const [first, second] = [await challenge(database(), node.id), await challenge(database(), node.id)];
  const request = { ...certified(node, first), nonce: toBase64(second) };
  await expect(issue(node.id, request)).rejects.toMatchObject({ details: [{ rule: 'certify.nonce' }] });
});

test('issue.tpm: a key that could leave its TPM is refused', async () => {
  const node = await trustedNode();
  const nonce = await challenge(database(), node.id);
  const objectAttributes = tpmaObject('sensitiveDataOrigin', 'userWithAuth', 'sign');
  const publicArea = { ...node.tpm.createSigningKey().publicArea, objectAttributes };
  const { attest, signature } = node.tpm.certify(nonce, publicArea);
  const request = {
    mode: 'tpm' as const,
    nonce: toBase64(nonce),
    publicArea: toBase64(marshalTpm2bPublic(publicArea)),
    attest: toBase64(attest),
    signature: toBase64(signature),
  };
  await expect(issue(node.id, request)).rejects.toMatchObject({ details: [{ rule: 'issue.tpm' }] });
});

test('issue.profile: a key on another curve than P-256 is refused before anything is recorded', async () => {
  const node = await trustedNode();
  const nonce = await challenge(database(), node.id);
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const unique = { x: Buffer.from(x, 'base64url'), y: Buffer.from(y, 'base64url') };
  const { publicArea } = node.tpm.createSigningKey();
  if (publicArea.type !== 'ecc') throw new Error('an ECC key is expected');
  const other = { ...publicArea, curve: 'p384' as const, unique };
  const { attest, signature } = node.tpm.certify(nonce, other);
  const request = {
    mode: 'tpm' as const,
    nonce: toBase64(nonce),
    publicArea: toBase64(marshalTpm2bPublic(other)),
    attest: toBase64(attest),
    signature: toBase64(signature),
  };
  await expect(issue(node.id, request)).rejects.toMatchObject({ details: [{ rule: 'issue.profile' }] });
  expect(await records(node.id)).toEqual([]);
});

test('issue.tpm: another key than the certified one is refused', async () => {
  const node = await trustedNode();
  const nonce = await challenge(database(), node.id);
  const publicArea = toBase64(marshalTpm2bPublic(node.tpm.createSigningKey().publicArea));
  await expect(issue(node.id, { ...certified(node, nonce), publicArea })).rejects.toMatchObject({
    details: [{ rule: 'certify.name' }],
  });
});

test('a delivered key opens in the TPM of the node alone, and only with its certificate', async () => {
  const [node, other] = [await trustedNode(), await trustedNode()];
  const nonce = toBase64(await challenge(database(), node.id));
  const issued = await issue(node.id, { mode: 'delivered', nonce });
  const { credential, iv, ciphertext, tag } = issued.key ?? {
    credential: '',
    iv: '',
    ciphertext: '',
    tag: '',
  };
  const blob = parseCredentialBlob(fromBase64(credential, 'credential'));
  expect(() => other.tpm.activate(blob)).toThrow();
  const secret = node.tpm.activate(blob);
  const open = (certificate: string) => {
    const decipher = createDecipheriv('aes-256-gcm', secret, Buffer.from(iv, 'base64'), {
      authTagLength: 16,
    });
    decipher.setAAD(Buffer.from(certificate, 'base64')).setAuthTag(Buffer.from(tag, 'base64'));
    return Buffer.concat([decipher.update(ciphertext, 'base64'), decipher.final()]);
  };
  expect(() => open(toBase64(Buffer.from('another certificate')))).toThrow();
  const key = createPrivateKey({ key: open(issued.certificate), format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const [record] = await records(node.id);
  expect(toHex(record.subject_spki_sha256)).toBe(toHex(sha256(spki)));
  expect(JSON.stringify(record)).not.toContain(open(issued.certificate).toString('hex'));
});

test('when signing fails nothing leaves, and the record stays', async () => {
  const node = await trustedNode();
  const broken = { ...fakeSigner('web'), signNodeCa: () => Promise.reject(new Error('the token is gone')) };
  const request = certified(node, await challenge(database(), node.id));
  await expect(issueCertificate(issuerOn(database(), broken), node.id, request)).rejects.toThrow(
    'the token is gone',
  );
  expect(await records(node.id)).toMatchObject([{ der: null }]);
});

test('a node without a record is not authenticated', async () => {
  const nobody = '00000000-0000-8000-8000-000000000000';
  await expect(challenge(database(), nobody)).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(
    issue(nobody, { mode: 'delivered', nonce: toBase64(new Uint8Array(32)) }),
  ).rejects.toMatchObject({
    code: 'unauthenticated',
  });
});

test('a node has at most eight open challenges; the newest count', async () => {
  const node = await trustedNode();
  const first = await challenge(database(), node.id, 50);
  const others = [];
  for (let index = 0; index < 8; index += 1) others.push(await challenge(database(), node.id));
  const { rowCount } = await database().pool.query('SELECT 1 FROM issue_challenge WHERE node_id = $1', [
    node.id,
  ]);
  expect(rowCount).toBe(8);
  await expect(issue(node.id, certified(node, first))).rejects.toMatchObject({ code: 'challenge-unknown' });
  await issue(node.id, certified(node, others[7] ?? first));
});

test('expired challenges are swept, others are not', async () => {
  const node = await trustedNode();
  await challenge(database(), node.id, -120);
  await challenge(database(), node.id);
  await challengeStore(database().db).sweep();
  const { rows } = await database().pool.query(
    'SELECT count(*) FILTER (WHERE expires_at < now())::int AS old, count(*)::int AS all FROM issue_challenge WHERE node_id = $1',
    [node.id],
  );
  expect(rows).toEqual([{ old: 0, all: 1 }]);
});
