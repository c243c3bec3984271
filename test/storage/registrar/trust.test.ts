import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toBase64 } from '../../../core/bytes/encoding.ts';
import { spkiOf } from '../../../core/tpm/key.ts';
import { marshalTpm2bPublic } from '../../../core/tpm/public.ts';
import { renderPem } from '../../../core/x509/pem.ts';
import { auditLog } from '../../../platform/database/schema.ts';
import type { KeyedCertificate } from '../../../platform/pki/certify.ts';
import { createEkCertificate, createManufacturerCa } from '../../../platform/pki/manufacturer.ts';
import { shippedAnchors } from '../../../registrar/shipped-anchors.ts';
import { addShippedAnchors, listAnchors } from '../../../registrar/store/trust-anchors.ts';
import { AT, ekVector } from '../../unit/registrar/domain/ek-vectors.ts';
import { useDatabase } from '../support/database.ts';
import { type Answer, textAt } from './http.ts';
import { enrolOver, type Running, runRegistrar } from './running.ts';
import { enrolmentRequest, type SoftwareNode, softwareEk, softwareNode, VALIDITY } from './software-node.ts';

const database = useDatabase();
const vector = ekVector('rsa2048-ok');
const root = renderPem('CERTIFICATE', vector.anchor);
const chain = [vector.certificate, ...vector.intermediates].map((der) => renderPem('CERTIFICATE', der));

let running: Running;
let second: Running;
beforeAll(async () => {
  running = await runRegistrar(database(), {}, () => AT);
  second = await runRegistrar(database(), {}, () => AT);
});
afterAll(async () => {
  await running.close();
  await second.close();
});

async function enrol(at: Running = running): Promise<Answer> {
  const node = await softwareNode();
  const ekCertificates = [vector.certificate, ...vector.intermediates].map(toBase64);
  const request = { ...enrolmentRequest(node), ekPublic: toBase64(vector.ekPublic), ekCertificates };
  return at.of(node).call('POST', '/v1/enrolments', request);
}

const add = (pem: string) => running.admin.call('POST', '/v1/trust', { pem });
const check = (certificates: string) => running.viewer.call('POST', '/v1/trust/check', { certificates });

describe('the trust store', () => {
  test('ek.chain: what is refused, then trusted, then no longer', async () => {
    const refused = await enrol();
    expect(refused).toMatchObject({ status: 422, body: { code: 'identity-refused' } });
    expect(refused.text).toContain('CN=swtpm-localca-rootca');
    expect(refused.text).toContain('assay trust add FILE');
    expect((await check(chain.join(''))).body).toMatchObject({
      ok: false,
      path: [],
      findings: [{ rule: 'ek.chain' }],
      missingIssuer: { subject: 'CN=swtpm-localca-rootca', urls: [] },
    });

    const added = await add(root);
    expect(added.body).toMatchObject({
      added: [{ kind: 'root', subject: 'CN=swtpm-localca-rootca', source: 'added', addedBy: 'admin:ann' }],
    });
    expect((await add(root)).body).toEqual({ added: [] });
    expect((await enrol()).status).toBe(201);
    expect((await check(chain.join(''))).body).toEqual({
      ok: true,
      path: ['CN=tpmA', 'CN=swtpm-localca', 'CN=swtpm-localca-rootca'],
      findings: [],
      faults: [],
    });
    // The other process has heard of it.
    await expect.poll(async () => (await enrol(second)).status).toBe(201);

    const sha256 = textAt(added, 'added', '0', 'sha256');
    const path = `/v1/trust/${sha256.slice(0, 16)}`;
    expect((await running.admin.call('DELETE', path)).status).toBe(204);
    expect((await running.admin.call('DELETE', path)).status).toBe(404);
    expect((await enrol()).status).toBe(422);
    await expect.poll(async () => (await enrol(second)).status).toBe(422);

    const acts = (await database().db.select().from(auditLog)).filter(({ subject }) => subject === sha256);
    expect(acts).toMatchObject([
      { actor: 'admin:ann', act: 'trust.add' },
      { actor: 'admin:ann', act: 'trust.remove' },
    ]);
  });

  test('the list names each certificate', async () => {
    await add(root);
    const list = await running.viewer.call('GET', '/v1/trust');
    const shown = { kind: 'root', subject: 'CN=swtpm-localca-rootca', notAfter: '9999-12-31T23:59:59.000Z' };
    expect(list.body).toMatchObject({ anchors: expect.arrayContaining([expect.objectContaining(shown)]) });
  });

  test('an intermediate is not trusted by itself', async () => {
    const [intermediate] = vector.intermediates;
    if (!intermediate) throw new Error('the vector has one');
    const added = await add(renderPem('CERTIFICATE', intermediate));
    expect(added.body).toMatchObject({ added: [{ kind: 'intermediate' }] });
    const [leaf = ''] = chain;
    expect((await check(leaf)).body).toMatchObject({ ok: true });
  });

  test.each([
    ['no PEM', 'hello'],
    ['an EK certificate', chain[0] ?? ''],
    ['a private key', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
  ])('%s is refused', async (_case, pem) => {
    expect((await add(pem)).status).toBe(400);
  });

  test('too few digits of a SHA-256 remove nothing', async () => {
    expect((await running.admin.call('DELETE', '/v1/trust/0123')).status).toBe(400);
  });
});

describe('a TPM with a certificate of a trusted manufacturer', () => {
  const tpm = { manufacturer: 'id:41535359', model: 'assay', version: 'id:20240101' };
  let maker: KeyedCertificate;
  beforeAll(async () => {
    maker = await createManufacturerCa({ commonName: 'Maker EK CA', ...VALIDITY });
    await add(renderPem('CERTIFICATE', maker.certificate.der));
  });

  async function certified(serial: number): Promise<SoftwareNode> {
    const ek = softwareEk();
    const ekSpki = spkiOf(ek.publicArea);
    const options = {
      ca: maker,
      ekSpki,
      keyType: 'ecc',
      tpm,
      serial: Uint8Array.of(serial),
      ...VALIDITY,
    } as const;
    return softwareNode({ ek, certificates: [(await createEkCertificate(options)).der] });
  }

  test('waits for a person without inventory and token', async () => {
    const answer = await enrolOver(running, await certified(0x11));
    expect(answer.body).toMatchObject({ state: 'pending' });
  });

  test('is admitted by a token, which is then used', async () => {
    const created = await running.admin.call('POST', '/v1/tokens', { group: 'build', ttl: '5m' });
    const token = textAt(created, 'token');
    const first = await enrolOver(running, await certified(0x12), token);
    expect(first.body).toMatchObject({ state: 'enrolled', group: 'build', admission: 'a join token' });
    const listed = await running.viewer.call('GET', '/v1/tokens');
    expect(textAt(listed, 'tokens', '0', 'usedBy')).toBe(textAt(first, 'nodeId'));
    const second = await enrolOver(running, await certified(0x13), token);
    expect(second.body).toMatchObject({
      state: 'pending',
      admission: expect.stringContaining('used before'),
    });
  });

  test('is admitted by the serial number and issuer of its certificate', async () => {
    const header = 'ek_sha256,certificate_serial,certificate_issuer,asset_name,group';
    const csv = `${header}\n,00:2A,CN = Maker EK CA,rack 42,edge\n`;
    expect((await running.admin.call('POST', '/v1/inventory', csv)).status).toBe(200);
    const answer = await enrolOver(running, await certified(0x2a));
    expect(answer.body).toMatchObject({ state: 'enrolled', group: 'edge' });
    const shown = await running.viewer.call('GET', `/v1/nodes/${textAt(answer, 'nodeId')}`);
    expect(shown.body).toMatchObject({
      assetName: 'rack 42',
      tpm,
      ekCertificate: { subject: '', issuer: 'CN=Maker EK CA', path: ['', 'CN=Maker EK CA'], faults: [] },
    });
  });

  test('ek.same: the certificate of another TPM is refused', async () => {
    const [node, other] = [await certified(0x14), await certified(0x15)];
    const answer = await enrolOver(running, { ...node, certificates: other.certificates });
    expect(answer).toMatchObject({ status: 422, body: { findings: [{ rule: 'ek.same' }] } });
  });

  test.each([
    ['DER in base64', ([first]: readonly Uint8Array[]) => toBase64(first ?? new Uint8Array())],
    [
      'a PEM bundle',
      (all: readonly Uint8Array[]) => all.map((der) => renderPem('CERTIFICATE', der)).join(''),
    ],
  ])('Keylime sends its certificate as %s', async (_case, render) => {
    const node = await certified(0x20);
    const body = {
      ek_tpm: toBase64(marshalTpm2bPublic(node.ek.publicArea)),
      aik_tpm: toBase64(marshalTpm2bPublic(node.ak.publicArea)),
      ekcert: render([...node.certificates, maker.certificate.der]),
      mtls_cert: node.tls.certificate,
      ip: '127.0.0.1',
      port: 9002,
    };
    const path = `/v2.6/agents/${node.alias}`;
    const answer = await running.anonymous.call('POST', path, body);
    expect(answer.status, answer.text).toBe(200);
    const ekcert = toBase64(vector.certificate);
    const wrong = await running.anonymous.call('POST', path, { ...body, ekcert });
    expect(wrong).toMatchObject({ status: 400, body: { code: 400, results: {} } });
    expect(wrong.text).toContain('for another key than the EK');
  });
});

describe('certificates that come with a release', () => {
  async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
    const directory = await mkdtemp(join(tmpdir(), `anchors-${randomUUID()}`));
    try {
      return await work(directory);
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  test('each once, with the file it is from; other files are left alone', async () => {
    const anchors = await inDirectory(async (directory) => {
      await writeFile(join(directory, 'maker.pem'), root);
      await writeFile(join(directory, 'again.pem'), root);
      await writeFile(join(directory, 'README.md'), 'no PEM');
      return shippedAnchors(directory);
    });
    expect(anchors).toMatchObject([{ source: 'shipped:maker.pem', subject: 'CN=swtpm-localca-rootca' }]);
  });

  test('one that a person removed does not come back at the next start, but may be added again', async () => {
    const anchors = await inDirectory(async (directory) => {
      await writeFile(join(directory, 'maker.pem'), root);
      return shippedAnchors(directory);
    });
    const sha256 = Buffer.from(anchors[0]?.sha256 ?? '').toString('hex');
    await running.admin.call('DELETE', `/v1/trust/${sha256}`);
    const start = () => database().transaction((tx) => addShippedAnchors(tx, anchors));
    expect(await start()).toBe(0);
    const hashes = async () =>
      (await listAnchors(database().db)).map((row) => Buffer.from(row.sha256).toString('hex'));
    expect(await hashes()).not.toContain(sha256);
    expect(textAt(await add(root), 'added', '0', 'sha256')).toBe(sha256);
    expect(await hashes()).toContain(sha256);
  });
});
