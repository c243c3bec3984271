import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toBase64 } from '../../../core/bytes/encoding.ts';
import { renderPem } from '../../../core/x509/pem.ts';
import { auditLog } from '../../../platform/database/schema.ts';
import { shippedAnchors } from '../../../registrar/shipped-anchors.ts';
import { addShippedAnchors, listAnchors } from '../../../registrar/store/trust-anchors.ts';
import { AT, ekVector } from '../../unit/registrar/domain/ek-vectors.ts';
import { useDatabase } from '../support/database.ts';
import { type Answer, textAt } from './http.ts';
import { type Running, runRegistrar } from './running.ts';
import { enrolmentRequest, softwareNode } from './software-node.ts';

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
