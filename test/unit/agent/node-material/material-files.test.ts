import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { materialFiles } from '../../../../agent/node-material/material-files.ts';
import { renderPem } from '../../../../core/x509/pem.ts';
import { createSelfSignedTlsCertificate } from '../../../../platform/pki/self-signed.ts';

const NOW = new Date();
const MINUTE_MS = 60_000;
let folder: string;
let keysDestroyed: number;
let nodeId: string | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'material-'));
  keysDestroyed = 0;
  nodeId = 'node-a';
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function countKey(): Promise<void> {
  keysDestroyed += 1;
}
const files = (directory = folder, destroyKey = countKey) =>
  materialFiles({ directory, owner: undefined, nodeId: () => nodeId, now: () => NOW, destroyKey });

async function leafOf(commonName: string, endsInMs: number): Promise<string> {
  const { certificate } = await createSelfSignedTlsCertificate({
    ...{ commonName, dnsNames: ['x'], ipAddresses: [] },
    notBefore: new Date(NOW.getTime() - 60 * MINUTE_MS),
    notAfter: new Date(NOW.getTime() + endsInMs),
  });
  return renderPem('CERTIFICATE', certificate.der);
}

test('what is written is there for its owner alone, and is found again by the next run', async () => {
  const store = files();
  await store.write(await leafOf('node-a', 5 * MINUTE_MS));
  expect((await stat(store.path)).mode & 0o777).toBe(0o600);
  const end = await files().restore();
  expect(Math.abs((end?.getTime() ?? 0) - NOW.getTime() - 5 * MINUTE_MS)).toBeLessThanOrEqual(1_000);
  expect(keysDestroyed).toBe(0);
});

test.each<[string, string | undefined, string, number]>([
  ['is over', 'node-a', 'node-a', -1_000],
  ['is of another node', 'node-b', 'node-a', MINUTE_MS],
  ['is of a node that nobody remembers', undefined, 'node-a', MINUTE_MS],
])(
  'revoke.destroy: a leaf that %s does not outlive a restart, nor does the key',
  async (_name, now, was, ms) => {
    await files().write(await leafOf(was, ms));
    nodeId = now;
    expect(await files().restore()).toBeUndefined();
    expect(await readdir(folder)).toEqual([]);
    expect(keysDestroyed).toBe(1);
  },
);

test('a file that is no certificate does not outlive a restart', async () => {
  await writeFile(files().path, 'rubbish');
  expect(await files().restore()).toBeUndefined();
  expect(await readdir(folder)).toEqual([]);
});

test('a half-written file of an earlier run is taken away, the whole one stays', async () => {
  const pem = await leafOf('node-a', MINUTE_MS);
  await files().write(pem);
  await writeFile(join(folder, '.node.pem.0123456789abcdef.tmp'), 'half a key');
  await files().restore();
  expect(await readdir(folder)).toEqual(['node.pem']);
  expect(await readFile(files().path, 'utf8')).toBe(pem);
});

test('revoke.destroy: the file goes also when the key cannot be destroyed, and that is told', async () => {
  await files().write(await leafOf('node-a', MINUTE_MS));
  const failing = files(folder, () => Promise.reject(new Error('the TPM does not answer')));
  await expect(failing.destroy()).rejects.toThrow('the TPM does not answer');
  expect(await readdir(folder)).toEqual([]);
});

test('a directory that is gone holds nothing to destroy, or to restore', async () => {
  const gone = files(join(folder, 'gone'));
  expect(await gone.restore()).toBeUndefined();
  await gone.destroy();
  expect(keysDestroyed).toBe(1);
});
