import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initialise } from '../../../cli/init/initialise.ts';
import { fromBase64, toBase64 } from '../../../core/bytes/encoding.ts';
import type { IssuedCertificate } from '../../../core/messages/issue.ts';
import { parseCertificate } from '../../../core/x509/certificate.ts';
import { parseCrl } from '../../../core/x509/crl.ts';
import { renderPem } from '../../../core/x509/pem.ts';
import { startIssuer } from '../../../issuer/main.ts';
import { createMetrics } from '../../../platform/metrics.ts';
import { createKeyPair, signWith } from '../../../platform/pki/keys.ts';
import { mintNodeLeaf } from '../../../platform/pki/node-ca.ts';
import { createSelfSignedTlsCertificate } from '../../../platform/pki/self-signed.ts';
import { silent, useDatabase } from '../support/database.ts';
import { addNode, certified, endTrust, pass, sha256, type TestNode } from './fixture.ts';

const run = promisify(execFile);
const database = useDatabase();
const pemKey = { type: 'pkcs8', format: 'pem' } as const;
let base = '';
let issuer: { readonly url: string; close(): Promise<void> };
let ca = '';
const agents: Agent[] = [];

function clientOf(certificate?: string, key?: string): Agent {
  const agent = new Agent({ connect: { ca, ...(certificate && key ? { cert: certificate, key } : {}) } });
  agents.push(agent);
  return agent;
}

function dependencies(directory = base, groups: readonly string[] = ['web']) {
  const read = (file: string) => readFileSync(join(base, file), 'utf8');
  return {
    config: {
      listen: '127.0.0.1:0',
      url: 'https://localhost:8882',
      groups: Object.fromEntries(
        groups.map((group) => [group, { 'key-modes': ['tpm' as const, 'delivered' as const] }]),
      ),
      crl: { directory: 'crls' },
    },
    trustDomain: 'example.org',
    nodesDomain: 'nodes.example.org',
    directory,
    database: database(),
    logger: silent,
    metrics: createMetrics(false),
    tls: { certificate: read('pki/issuer.crt'), key: read('pki/issuer.key'), clientCa: ca },
    clock: () => new Date(),
    randomBytes,
  };
}

beforeAll(async () => {
  base = join(mkdtempSync(join(tmpdir(), 'assay-issuer-')), 'installation');
  const names = { trustDomain: 'example.org', nodesDomain: 'nodes.example.org', hosts: ['localhost'] };
  await initialise({
    ...names,
    directory: base,
    groups: ['web'],
    clock: () => new Date(),
    random: randomBytes,
  });
  ca = readFileSync(join(base, 'pki/service-ca.crt'), 'utf8');
  issuer = await startIssuer(dependencies());
});
afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.destroy()));
  await issuer.close();
  rmSync(join(base, '..'), { recursive: true, force: true });
});

interface Member extends TestNode {
  readonly client: Agent;
}

async function member(overrides: Readonly<Record<string, unknown>> = {}): Promise<Member> {
  const identity = await createSelfSignedTlsCertificate({
    commonName: 'node',
    dnsNames: ['node'],
    ipAddresses: [],
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
  });
  const { der } = identity.certificate;
  const node = await addNode(database(), { tls_certificate: der, tls_sha256: sha256(der), ...overrides });
  await pass(database(), node.id);
  const client = clientOf(renderPem('CERTIFICATE', der), identity.privateKey.export(pemKey).toString());
  return { ...node, client };
}

async function ask(dispatcher: Agent, method: 'GET' | 'POST', path: string, body?: unknown) {
  const response = await request(`${issuer.url}${path}`, {
    method,
    dispatcher,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return {
    status: response.statusCode,
    headers: response.headers,
    bytes: Buffer.from(await response.body.arrayBuffer()),
  };
}

const json = ({ bytes }: { readonly bytes: Buffer }) => JSON.parse(bytes.toString());
const nonceFor = async ({ client }: Member) =>
  fromBase64(json(await ask(client, 'POST', '/v1/nodes/self/challenge')).nonce, 'nonce');
const admin = () =>
  clientOf(
    readFileSync(join(base, 'admin/admin.crt'), 'utf8'),
    readFileSync(join(base, 'admin/admin.key'), 'utf8'),
  );

async function issuedTo(node: Member): Promise<IssuedCertificate> {
  const answer = await ask(
    node.client,
    'POST',
    '/v1/nodes/self/certificate',
    certified(node, await nonceFor(node)),
  );
  expect(answer.status, answer.bytes.toString()).toBe(200);
  return json(answer);
}

function write(name: string, ...certificates: readonly string[]): string {
  const file = join(base, name);
  writeFileSync(
    file,
    certificates.map((der) => renderPem('CERTIFICATE', fromBase64(der, 'certificate'))).join(''),
  );
  return file;
}

test('issue.profile: OpenSSL accepts the chain from a leaf to the root, strictly, and no foreign leaf', async () => {
  const node = await member();
  const nonce = toBase64(await nonceFor(node));
  const delivered: IssuedCertificate = json(
    await ask(node.client, 'POST', '/v1/nodes/self/certificate', { mode: 'delivered', nonce }),
  );
  const issued = await issuedTo(node);
  const [issuing = '', root = ''] = issued.chain;
  const files = [
    '-CAfile',
    write('root.pem', root),
    '-untrusted',
    write('chain.pem', issued.certificate, issuing),
  ];
  await run('openssl', ['verify', '-x509_strict', ...files, write('node.pem', issued.certificate)]);
  expect(parseCertificate(fromBase64(issued.certificate, 'der')).subject.text).toContain(node.id);
  expect(delivered.key).toBeDefined();
  expect(issued.key).toBeUndefined();
});

test('a leaf below a delivered key is good for OpenSSL, and revoked once the node failed', async () => {
  const node = await member();
  const nonce = toBase64(await nonceFor(node));
  const issued: IssuedCertificate = json(
    await ask(node.client, 'POST', '/v1/nodes/self/certificate', { mode: 'delivered', nonce }),
  );
  const leaf = await leafOf(node, issued);
  const [issuing = '', root = ''] = issued.chain;
  const trusted = ['-CAfile', write('root.pem', root)];
  const chain = ['-untrusted', write('chain.pem', issued.certificate, issuing)];
  const file = write('leaf.pem', toBase64(leaf));
  await run('openssl', ['verify', '-x509_strict', '-purpose', 'any', ...trusted, ...chain, file]);

  const check = async () => {
    const crl = await ask(clientOf(), 'GET', '/crl/web.crl');
    const crlFile = join(base, 'web.crl.pem');
    writeFileSync(crlFile, renderPem('X509 CRL', crl.bytes));
    // -crl_check looks at the end of the chain that is given: the node CA.
    const args = [
      'verify',
      '-crl_check',
      '-CRLfile',
      crlFile,
      ...trusted,
      '-untrusted',
      write('issuing.pem', issuing),
    ];
    return run('openssl', [...args, write('node.pem', issued.certificate)]).then(
      () => 'good',
      (error: { stderr: string; stdout: string }) => `${error.stdout}${error.stderr}`,
    );
  };
  expect(await check()).toBe('good');
  await endTrust(database(), node.id, 'failed');
  let result = '';
  for (let wait = 0; wait < 50 && !result.includes('revoked'); wait += 1) {
    await sleep(100);
    result = await check();
  }
  expect(result).toContain('certificate revoked');
});

async function leafOf(node: Member, issued: IssuedCertificate): Promise<Uint8Array> {
  const { createDecipheriv, createPrivateKey } = await import('node:crypto');
  const { parseCredentialBlob } = await import('../../../core/tpm/credential.ts');
  if (!issued.key) throw new Error('no key was delivered');
  const secret = node.tpm.activate(parseCredentialBlob(fromBase64(issued.key.credential, 'credential')));
  const decipher = createDecipheriv('aes-256-gcm', secret, fromBase64(issued.key.iv, 'iv'));
  decipher.setAAD(fromBase64(issued.certificate, 'der')).setAuthTag(fromBase64(issued.key.tag, 'tag'));
  const pkcs8 = Buffer.concat([decipher.update(fromBase64(issued.key.ciphertext, 'key')), decipher.final()]);
  const caCertificate = parseCertificate(fromBase64(issued.certificate, 'der'));
  const { publicKey } = await createKeyPair('p256');
  const leaf = await mintNodeLeaf({
    caCertificate,
    sign: signWith(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })),
    nodeId: node.id,
    nodesDomain: 'nodes.example.org',
    publicKeySpki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    notBefore: new Date(),
    notAfter: new Date(issued.notAfter),
  });
  return leaf.der;
}

test('the CRL has its content type, may be cached, and is written as a file', async () => {
  const crl = await ask(clientOf(), 'GET', '/crl/web.crl');
  expect(crl.status).toBe(200);
  expect(crl.headers).toMatchObject({
    'content-type': 'application/pkix-crl',
    'cache-control': 'public, max-age=60, must-revalidate',
  });
  const { number } = parseCrl(crl.bytes);
  expect(crl.headers.etag).toBe(`"${number}"`);
  const text = execFileSync('openssl', ['crl', '-inform', 'DER', '-noout', '-text'], {
    input: crl.bytes,
  }).toString();
  expect(text).toContain('Version 2');
  expect(parseCrl(readFileSync(join(base, 'crls/web.crl'))).issuer.text).toBe(
    parseCrl(crl.bytes).issuer.text,
  );
  expect((await ask(clientOf(), 'GET', '/crl/other.crl')).status).toBe(404);
});

test('api.own: a stranger, a node without a record, and an admin get no certificate', async () => {
  const stranger = await member();
  await database().pool.query('UPDATE node SET tls_sha256 = NULL WHERE id = $1', [stranger.id]);
  const body = { mode: 'delivered', nonce: toBase64(new Uint8Array(32)) };
  for (const path of ['/v1/nodes/self/challenge', '/v1/nodes/self/certificate']) {
    expect((await ask(clientOf(), 'POST', path, body)).status).toBe(401);
    expect((await ask(stranger.client, 'POST', path, body)).status).toBe(401);
    expect((await ask(admin(), 'POST', path, body)).status).toBe(403);
  }
});

test("api.own: another node's request over our own connection gets nothing", async () => {
  const [node, other] = [await member(), await member()];
  const stolen = certified(other, await nonceFor(other));
  const answer = await ask(node.client, 'POST', '/v1/nodes/self/certificate', stolen);
  expect(answer.status).toBe(422);
  const { rowCount } = await database().pool.query('SELECT 1 FROM certificate WHERE node_id = $1', [node.id]);
  expect(rowCount).toBe(0);
});

test('a refusal names the rule that the agent acts on', async () => {
  const node = await member();
  await endTrust(database(), node.id, 'banned');
  const answer = await ask(
    node.client,
    'POST',
    '/v1/nodes/self/certificate',
    certified(node, await nonceFor(node)),
  );
  expect(answer.status).toBe(403);
  expect(json(answer)).toMatchObject({ code: 'not-trusted', findings: [{ rule: 'node.banned' }] });
});

test('people see certificates, bans, authorities and the snippet; nodes do not', async () => {
  const node = await member();
  const issued = await issuedTo(node);
  const { certificates } = json(await ask(admin(), 'GET', `/v1/certificates?node=${node.id}&valid=true`));
  expect(certificates).toEqual([
    expect.objectContaining({
      serial: issued.serial,
      group: 'web',
      keyMode: 'tpm',
      revoked: false,
      reason: null,
    }),
  ]);
  await endTrust(database(), node.id, 'banned');
  const seen = async () =>
    json(await ask(admin(), 'GET', '/v1/bans')).bans.find(
      (ban: { nodeId: string }) => ban.nodeId === node.id,
    );
  for (let wait = 0; wait < 50 && !(await seen()); wait += 1) await sleep(100);
  expect(await seen()).toMatchObject({ wanted: true, places: [] });
  const all = json(await ask(admin(), 'GET', `/v1/certificates?node=${node.id}`)).certificates;
  expect(all).toMatchObject([{ revoked: true, reason: 'banned' }]);
  expect(json(await ask(admin(), 'GET', `/v1/certificates?node=${node.id}&valid=true`)).certificates).toEqual(
    [],
  );
  const authorities = json(await ask(clientOf(), 'GET', '/v1/authorities'));
  expect(authorities.root).toBe(readFileSync(join(base, 'pki/node-root.crt'), 'utf8'));
  expect(authorities.groups.web).toBe(readFileSync(join(base, 'pki/issuing-web.crt'), 'utf8'));
  expect(json(await ask(admin(), 'GET', '/v1/spire-snippet?group=web')).server).toContain(
    'node-issuing-web.pem',
  );
  expect((await ask(admin(), 'GET', '/v1/spire-snippet?group=other')).status).toBe(404);
  for (const path of ['/v1/certificates', '/v1/bans', '/v1/spire-snippet']) {
    expect((await ask(node.client, 'GET', path)).status, path).toBe(403);
    expect((await ask(clientOf(), 'GET', path)).status, path).toBe(401);
  }
});

test('it is healthy and ready, and counts what it does', async () => {
  expect((await ask(clientOf(), 'GET', '/readyz')).status).toBe(200);
  await issuedTo(await member());
  const metrics = (await ask(admin(), 'GET', '/metrics')).bytes.toString();
  expect(metrics).toMatch(/assay_issuer_certificates_total\{group="web",key_mode="tpm"\} \d+/);
  expect(metrics).toMatch(/assay_issuer_refusals_total\{code="not-trusted",rule="node.banned"\} \d+/);
  expect(metrics).toMatch(/assay_issuer_authority_expiry_seconds\{authority="web"\} \d+/);
});

const start = (change: (directory: string) => void, groups = ['web']) =>
  (async () => {
    const directory = mkdtempSync(join(tmpdir(), 'assay-issuer-'));
    try {
      execFileSync('cp', ['-a', join(base, 'pki'), directory]);
      change(join(directory, 'pki'));
      const started = await startIssuer(dependencies(directory, groups));
      await started.close();
      return 'started';
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  })();

test('it starts with a copy of its files', async () => {
  expect(await start(() => {})).toBe('started');
});

const faults: readonly [name: string, change: (pki: string) => void, message: RegExp, groups?: string[]][] = [
  ['a group without an issuing CA', () => {}, /issuing-db\.crt/, ['web', 'db']],
  [
    'key.files: a key that others can read',
    (pki) => chmodSync(join(pki, 'issuing-web.key'), 0o640),
    /chmod 600/,
  ],
  ['a missing key', (pki) => rmSync(join(pki, 'issuing-web.key')), /issuing-web\.key/],
  [
    'the key of another CA',
    (pki) => execFileSync('cp', [join(pki, 'node-root.key'), join(pki, 'issuing-web.key')]),
    /not the key of/,
  ],
  [
    'an issuing CA that the root did not sign',
    (pki) => execFileSync('cp', [join(pki, 'service-ca.crt'), join(pki, 'issuing-web.crt')]),
    /not signed by a node root/,
  ],
  [
    'the root itself as issuing CA',
    (pki) => execFileSync('cp', [join(pki, 'node-root.crt'), join(pki, 'issuing-web.crt')]),
    /path length 1/,
  ],
  [
    'a file that is no certificate',
    (pki) => writeFileSync(join(pki, 'node-root.crt'), 'no'),
    /node-root\.crt/,
  ],
];
for (const [name, change, message, groups] of faults) {
  test(`it does not start with ${name}, and says which file`, async () => {
    await expect(start(change, groups)).rejects.toMatchObject({
      code: 'invalid-config',
      message: expect.stringMatching(message),
    });
  });
}

test('it does not start with an issuing CA that has expired', async () => {
  const clock = () => new Date(Date.now() + 6 * 365 * 86_400_000);
  await expect(startIssuer({ ...dependencies(), clock })).rejects.toMatchObject({
    code: 'invalid-config',
    message: expect.stringContaining('expired'),
  });
});
