import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { openApi } from '../../../cli/profile.ts';
import { SpiffeCa } from '../../fakes/spiffe-ca.ts';
import { FakeWorkloadApi } from '../../fakes/workload-api.ts';

const SERVICE = 'https://127.0.0.1:9';
let scratch: string;
let api: FakeWorkloadApi;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'profile-'));
  api = await new FakeWorkloadApi(join(scratch, 'api.sock')).start();
  const ca = await SpiffeCa.create('a.test');
  api.give([ca], [await ca.svid('spiffe://a.test/ada')]);
});
afterAll(async () => {
  await api.stop();
  await rm(scratch, { recursive: true, force: true });
});

async function profile(changes: object): Promise<string> {
  const file = join(scratch, 'client.yaml');
  const urls = { registrar: SERVICE, verifier: SERVICE, issuer: SERVICE };
  await writeFile(file, stringify({ ...urls, svid: { 'workload-api': api.endpoint }, ...changes }));
  return file;
}

test("without the bundle of the services' trust domain no connection is made: not on the CAs of Node.js either", async () => {
  const opened = await openApi(await profile({ 'server-id': 'spiffe://elsewhere.test/assay' }));
  await expect(opened.get('verifier', '/v1/policies')).rejects.toThrow(
    'our SVID came without the bundle of elsewhere.test',
  );
  await opened.close();
});

test('an SVID without the ID of the services is refused', async () => {
  await expect(openApi(await profile({}))).rejects.toThrow(/has an svid and no server-id/);
});
