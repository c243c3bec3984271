import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { initialise } from '../../../cli/init/initialise.ts';
import { activate, prepare } from '../../../cli/init/rotate.ts';
import { toHex } from '../../../core/bytes/encoding.ts';
import { parseCertificate } from '../../../core/x509/certificate.ts';
import { parseCrl } from '../../../core/x509/crl.ts';
import { parsePem } from '../../../core/x509/pem.ts';
import { freePort } from '../../../demo/ports.ts';
import { startIssuer } from '../../../issuer/main.ts';
import { createMetrics } from '../../../platform/metrics.ts';
import { silent, useDatabase } from '../support/database.ts';
import { addNode, endTrust, pass, sha256 } from './fixture.ts';

const run = promisify(execFile);
const database = useDatabase();
let base = '';
let http = '';
let issuer: { readonly url: string; close(): Promise<void> };
const metrics = createMetrics(false);

function start(port: number) {
  const read = (file: string) => readFileSync(join(base, file), 'utf8');
  return startIssuer({
    config: {
      ...{ listen: '127.0.0.1:0', url: 'https://localhost:8882', groups: { web: {} } },
      revocation: { listen: `127.0.0.1:${port}`, url: `http://127.0.0.1:${port}` },
    },
    ...{ trustDomain: 'example.org', nodesDomain: 'nodes.example.org', directory: base },
    ...{ database: database(), logger: silent, metrics, randomBytes, clock: () => new Date() },
    tls: {
      certificate: read('pki/issuer.crt'),
      key: read('pki/issuer.key'),
      clientCa: read('pki/service-ca.crt'),
    },
  });
}

beforeAll(async () => {
  base = join(mkdtempSync(join(tmpdir(), 'assay-ocsp-')), 'installation');
  await initialise({
    ...{ trustDomain: 'example.org', nodesDomain: 'nodes.example.org', hosts: ['localhost'] },
    ...{ directory: base, groups: ['web'], clock: () => new Date(), random: randomBytes },
  });
  const port = await freePort();
  http = `http://127.0.0.1:${port}`;
  issuer = await start(port);
});
afterAll(async () => {
  await issuer.close();
  rmSync(join(base, '..'), { recursive: true, force: true });
});

const issuingCa = () =>
  parseCertificate(parsePem('CERTIFICATE', readFileSync(join(base, 'pki/issuing-web.crt'), 'utf8')));

/** A certificate on record, as the issuer records it before it signs. */
async function recorded(nodeId: string): Promise<string> {
  const serial = Buffer.concat([Uint8Array.of(0x41), randomBytes(15)]);
  await database().pool.query(
    `INSERT INTO certificate (serial, node_id, node_version, epoch, group_name, authority_sha256, key_mode, subject_spki_sha256, not_before, not_after)
     SELECT $1, $2, 1, epoch, 'web', $3, 'tpm', '', now() - interval '1 minute', now() + interval '1 hour' FROM node_trust WHERE node_id = $2`,
    [serial, nodeId, sha256(issuingCa().der)],
  );
  return toHex(serial);
}

/** openssl as a relying party, over plain HTTP. */
async function opensslAsks(serial: string, ca = 'issuing-web.crt'): Promise<string> {
  const pki = (file: string) => join(base, 'pki', file);
  const trust = ['-CAfile', pki('node-root.crt'), '-verify_other', pki(ca)];
  const asked = ['-issuer', pki(ca), '-serial', `0x${serial}`, '-url', `${http}/ocsp`];
  const { stdout, stderr } = await run('openssl', ['ocsp', ...trust, ...asked]);
  return `${stdout}${stderr}`;
}

async function node(): Promise<string> {
  const { id } = await addNode(database());
  await pass(database(), id);
  return id;
}

test('revoke.destroy: a certificate is good, and revoked from the commit of the fail on', async () => {
  const id = await node();
  const serial = await recorded(id);
  const before = await opensslAsks(serial);
  expect(before).toContain('Response verify OK');
  expect(before).toContain(`0x${serial}: good`);
  await endTrust(database(), id, 'failed');
  const after = await opensslAsks(serial);
  expect(after).toContain('Response verify OK');
  expect(after).toContain(`0x${serial}: revoked`);
  expect(after).toContain('keyCompromise');
});

test('a number that was never given out is unknown, not good', async () => {
  expect(await opensslAsks(`41${toHex(randomBytes(15))}`)).toMatch(/: unknown/);
});

test('a request in a URL is answered for caches: for how long, and until when', async () => {
  const serial = await recorded(await node());
  const file = join(base, 'request.der');
  const issuing = join(base, 'pki/issuing-web.crt');
  await run('openssl', ['ocsp', '-issuer', issuing, '-serial', `0x${serial}`, '-no_nonce', '-reqout', file]);
  const path = encodeURIComponent(readFileSync(file).toString('base64'));
  const answer = await request(`${http}/ocsp/${path}`);
  expect(answer.statusCode).toBe(200);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/ocsp-response',
    'cache-control': 'max-age=60, public, no-transform, must-revalidate',
    etag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
  });
  const { 'last-modified': from, expires } = answer.headers;
  expect(Date.parse(String(expires)) - Date.parse(String(from))).toBe(60_000);
  expect((await answer.body.arrayBuffer()).byteLength).toBeGreaterThan(200);
});

test('what is no request gets an answer that says so, and what is too large none', async () => {
  const ask = async (body: Uint8Array, type = 'application/ocsp-request') => {
    const { statusCode, body: answer } = await request(`${http}/ocsp`, {
      ...{ method: 'POST', body, headers: { 'content-type': type } },
    });
    return { statusCode, hex: toHex(new Uint8Array(await answer.arrayBuffer())) };
  };
  expect(await ask(randomBytes(40))).toEqual({ statusCode: 200, hex: '30030a0101' });
  expect(await ask(randomBytes(9_000))).toMatchObject({ statusCode: 413 });
  expect(await ask(randomBytes(40), 'application/octet-stream')).toMatchObject({ statusCode: 400 });
});

test('api.deny: over plain HTTP there are CRLs and OCSP, and nothing else', async () => {
  for (const path of ['/v1/certificates', '/v1/authorities', '/metrics', '/healthz', '/v1/bans']) {
    const { statusCode, body } = await request(`${http}${path}`);
    await body.dump();
    expect({ path, statusCode }).toEqual({ path, statusCode: 404 });
  }
  const crl = await request(`${http}/crl/web.crl`);
  await crl.body.dump();
  expect(crl.statusCode).toBe(200);
});

test('the same over TLS, beside everything else', async () => {
  const dispatcher = new Agent({ connect: { ca: readFileSync(join(base, 'pki/service-ca.crt'), 'utf8') } });
  const { statusCode, body } = await request(`${issuer.url.replace('127.0.0.1', 'localhost')}/ocsp`, {
    ...{ dispatcher, method: 'POST', body: randomBytes(10) },
    headers: { 'content-type': 'application/ocsp-request' },
  });
  expect(statusCode).toBe(200);
  expect(toHex(new Uint8Array(await body.arrayBuffer()))).toBe('30030a0101');
  await dispatcher.close();
  expect(await metrics.registry.metrics()).toMatch(/issuer_ocsp_answers_total\{outcome="revoked"\} 1/);
});

test('after a rotation the CA before answers for its own, by OCSP and by the CRL of its key', async () => {
  const id = await node();
  const serial = await recorded(id);
  const { subjectKeyId = new Uint8Array() } = issuingCa();
  await prepare({ directory: base, name: 'web', clock: () => new Date() });
  await activate(base, 'web');
  expect(issuingCa().subjectKeyId).not.toEqual(subjectKeyId);
  await issuer.close();
  issuer = await start(Number(new URL(http).port));
  await endTrust(database(), id, 'banned');
  const said = await opensslAsks(serial, 'issuing-web.previous.crt');
  expect(said).toContain('Response verify OK');
  expect(said).toContain(`0x${serial}: revoked`);
  const crl = await request(`${http}/crl/${toHex(subjectKeyId)}.crl`);
  expect(crl.statusCode).toBe(200);
  const { authorityKeyId } = parseCrl(new Uint8Array(await crl.body.arrayBuffer()));
  expect(authorityKeyId).toEqual(subjectKeyId);
});
