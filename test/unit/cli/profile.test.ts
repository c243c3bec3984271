import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { httpApi } from '../../../cli/http-api.ts';
import { openApi, readProfile } from '../../../cli/profile.ts';
import { testPki } from '../../fakes/pki.ts';

const PLACES = ['registrar', 'verifier', 'issuer'].map((name) => `${name}: https://localhost:1\n`).join('');
let pki: Awaited<ReturnType<typeof testPki>>;
let client: { readonly certificate: string; readonly key: string };
let folder: string;
beforeAll(async () => {
  pki = await testPki();
  client = await pki.client('urn:assay:role:admin');
  folder = mkdtempSync(join(tmpdir(), 'profile-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const profile = () => join(folder, 'client.yaml');
function write(name: string, content: string, mode = 0o600): void {
  writeFileSync(join(folder, name), content);
  chmodSync(join(folder, name), mode);
}

beforeEach(() => {
  write('client.yaml', `${PLACES}ca: ca.crt\ncertificate: admin.crt\nkey: admin.key\n`);
  write('ca.crt', pki.serviceCa.pem);
  write('admin.crt', client.certificate);
  write('admin.key', client.key);
});

test('a profile gives what TLS needs', async () => {
  const { urls, material } = await readProfile(profile());
  expect(urls.issuer).toBe('https://localhost:1');
  expect(material).toMatchObject({ ca: pki.serviceCa.pem, certificate: client.certificate });
});

test('key.files: the key of an admin that others can read is refused', async () => {
  write('admin.key', client.key, 0o640);
  await expect(openApi(profile())).rejects.toMatchObject({
    code: 'invalid-config',
    details: [{ rule: 'key.files', message: expect.stringContaining('run chmod 600') }],
  });
});

test.each([
  ['admin.crt', 'no PEM', 'is no certificate in PEM'],
  ['ca.crt', '', 'is no certificate in PEM'],
  ['admin.key', 'no PEM', 'no key could be read'],
])('%s that is broken is named', async (name, content, message) => {
  write(name, content);
  await expect(openApi(profile())).rejects.toMatchObject({
    code: 'invalid-config',
    message: expect.stringMatching(new RegExp(`${name}.*${message}`)),
  });
});

test('a key of another certificate is named', async () => {
  write('admin.key', (await pki.client('urn:assay:role:viewer')).key);
  await expect(openApi(profile())).rejects.toThrow(/admin\.key is not that of its certificate .*admin\.crt/);
});

test('a service of another CA is told from one that is away', async () => {
  const other = await testPki();
  const server = createServer({ cert: other.server.certificate, key: other.server.key });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const url = `https://127.0.0.1:${address !== null && typeof address === 'object' ? address.port : 0}`;
  const urls = { registrar: url, verifier: url, issuer: 'https://127.0.0.1:1' };
  const api = httpApi(urls, { ...client, ca: pki.serviceCa.pem });
  await expect(api.get('verifier', '/v1/policies')).rejects.toThrow(
    'shows a certificate that the CA of the profile did not sign',
  );
  await expect(api.get('issuer', '/v1/bans')).rejects.toThrow('does not answer: connect ECONNREFUSED');
  await api.close();
  await new Promise((resolve) => server.close(resolve));
});
