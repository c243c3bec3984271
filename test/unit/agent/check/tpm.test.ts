import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkTpm } from '../../../../agent/check/tpm.ts';
import { type AgentConfig, loadConfig } from '../../../../agent/config.ts';
import type { NodeTpm } from '../../../../agent/node-tpm-port.ts';
import { AssayError } from '../../../../core/errors.ts';
import { createSelfSignedTlsCertificate } from '../../../../platform/pki/self-signed.ts';
import { fakeNodeTpm } from '../../../fakes/node-tpm.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'check-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const NOW = new Date();
const HOUR_MS = 3_600_000;

function configOf(tpm: string, changes: Partial<AgentConfig> = {}): AgentConfig {
  const flags = { registrar: 'https://localhost:1', ca: `sha256:${'0'.repeat(64)}`, tpm };
  return { ...loadConfig({ file: undefined, flags }), ...changes };
}

function look(config: AgentConfig, tpm: NodeTpm = fakeNodeTpm()) {
  return checkTpm(config, { now: () => NOW, openTpm: async () => tpm });
}

async function ekCertificate(endsInMs: number): Promise<Uint8Array> {
  const { certificate } = await createSelfSignedTlsCertificate({
    ...{ commonName: 'Some manufacturer', dnsNames: ['x'], ipAddresses: [] },
    notBefore: new Date(NOW.getTime() - 48 * HOUR_MS),
    notAfter: new Date(NOW.getTime() + endsInMs),
  });
  return certificate.der;
}

test('device: one that is not there', async () => {
  const results = await look(configOf(`device:${folder}/tpmrm0`));
  expect(results).toMatchObject([{ check: 'tpm', outcome: 'fail', message: `there is no ${folder}/tpmrm0` }]);
  expect(results[0]?.advice).toContain('firmware setup');
});

test('device: something else stands there', async () => {
  await writeFile(join(folder, 'tpmrm0'), '');
  const [result] = await look(configOf(`device:${folder}/tpmrm0`));
  expect(result).toMatchObject({ outcome: 'fail', message: `${folder}/tpmrm0 is no device` });
});

test('permissions: a directory on the way that is closed', async () => {
  await chmod(folder, 0o000);
  try {
    const [result] = await look(configOf(`device:${folder}/tpmrm0`));
    // The superuser is let through, and finds nothing.
    const message = process.getuid?.() === 0 ? 'there is no ' : 'this user may not use ';
    expect(result).toMatchObject({ outcome: 'fail', message: `${message}${folder}/tpmrm0` });
  } finally {
    await chmod(folder, 0o700);
  }
});

test('a TPM that does not answer', async () => {
  const openTpm = () => Promise.reject(new AssayError('unavailable', 'the TPM at x does not answer'));
  const results = await checkTpm(configOf('swtpm:unix:/x'), { now: () => NOW, openTpm });
  expect(results).toMatchObject([
    { check: 'tpm', outcome: 'fail', message: 'the TPM at x does not answer', advice: expect.any(String) },
  ]);
});

test('all well: EK certificate, AK, quote; and nothing is left open', async () => {
  const tpm = fakeNodeTpm([await ekCertificate(HOUR_MS)]);
  const results = await look(configOf('swtpm:unix:/x'), tpm);
  expect(results.map(({ check, outcome }) => `${check} ${outcome}`)).toEqual([
    ...['tpm ok', 'ek ok', 'ak ok', 'quote ok'],
  ]);
  expect(results[1]?.message).toContain('CN=Some manufacturer');
  expect(results[1]?.message).toContain(tpm.ek.sha256);
  expect(tpm.closed).toBe(1);
});

test('EK certificate: there is none', async () => {
  const tpm = fakeNodeTpm();
  const result = (await look(configOf('swtpm:unix:/x'), tpm)).find(({ check }) => check === 'ek');
  expect(result).toMatchObject({ outcome: 'warn', advice: expect.stringContaining(tpm.ek.sha256) });
});

test('EK certificate: it is over', async () => {
  const tpm = fakeNodeTpm([await ekCertificate(-HOUR_MS)]);
  const result = (await look(configOf('swtpm:unix:/x'), tpm)).find(({ check }) => check === 'ek');
  expect(result).toMatchObject({ outcome: 'warn', message: expect.stringContaining('was valid until') });
});

test('EK certificate: one that OpenSSL does not read is left to the registrar', async () => {
  const tpm = fakeNodeTpm([new Uint8Array([0x30, 0x03, 1, 2, 3])]);
  const result = (await look(configOf('swtpm:unix:/x'), tpm)).find(({ check }) => check === 'ek');
  expect(result).toMatchObject({ outcome: 'warn', advice: expect.stringContaining('the registrar decides') });
});

test('a bank that the TPM does not have', async () => {
  const results = await look(configOf('swtpm:unix:/x', { pcrBank: 'sha384' }));
  expect(results.at(-1)).toMatchObject({
    ...{ check: 'quote', outcome: 'fail', message: 'the TPM has no sha384 bank' },
    advice: expect.stringContaining('pcr-bank'),
  });
});
