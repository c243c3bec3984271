import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkClock, checkRegistrar } from '../../../../agent/check/servers.ts';
import { type AgentConfig, loadConfig } from '../../../../agent/config.ts';
import { AgentServices } from '../../../fakes/agent-services.ts';
import { testPki } from '../../../fakes/pki.ts';

let folder: string;
let services: AgentServices | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'check-'));
});
afterEach(async () => {
  await services?.close();
  services = undefined;
  await rm(folder, { recursive: true, force: true });
});

const DAY_MS = 24 * 3_600_000;
const now = () => new Date();

function configOf(registrar: string, ca: string): AgentConfig {
  return loadConfig({ file: undefined, flags: { registrar, ca } });
}

async function start(madeAt?: number): Promise<AgentServices> {
  services = await AgentServices.start(madeAt);
  return services;
}

test('a registrar that answers, with the pinned CA and the same time', async () => {
  const { url, pki } = await start();
  const results = await checkRegistrar(configOf(url, `sha256:${pki.serviceCa.pin}`), now);
  expect(results).toMatchObject([
    { check: 'registrar', outcome: 'ok', message: expect.stringContaining(`the issuer is ${url}`) },
    { check: 'clock', outcome: 'ok' },
  ]);
});

test('nobody answers', async () => {
  const results = await checkRegistrar(configOf('https://127.0.0.1:1', `sha256:${'0'.repeat(64)}`), now);
  expect(results).toMatchObject([
    { check: 'registrar', outcome: 'fail', advice: expect.stringContaining('firewall') },
  ]);
});

test('transport.pin: another pin is not taken for a network fault', async () => {
  const { url } = await start();
  const results = await checkRegistrar(configOf(url, `sha256:${'0'.repeat(64)}`), now);
  expect(results).toMatchObject([
    { check: 'registrar', outcome: 'fail', advice: expect.stringContaining('compare the pin') },
  ]);
});

test('another CA in a file is not taken for a network fault', async () => {
  const { url } = await start();
  const file = join(folder, 'ca.crt');
  await writeFile(file, (await testPki()).serviceCa.pem);
  const results = await checkRegistrar(configOf(url, file), now);
  expect(results).toMatchObject([
    { check: 'registrar', outcome: 'fail', advice: expect.stringContaining('correct "ca"') },
  ]);
});

test('a name that the certificate does not hold is not taken for a network fault', async () => {
  const { url, pki } = await start();
  // On Linux this is this machine.
  const other = url.replace('localhost', '0.0.0.0');
  const results = await checkRegistrar(configOf(other, `sha256:${pki.serviceCa.pin}`), now);
  expect(results).toMatchObject([
    { check: 'registrar', outcome: 'fail', advice: expect.stringContaining('name or address') },
  ]);
});

test.each([
  ['behind', 3 * DAY_MS, 'is not valid yet'],
  ['ahead', -3 * DAY_MS, 'is over'],
])('clock: far %s, so that the certificate does not hold', async (_name, offsetMs, what) => {
  const { url, pki } = await start(Date.now() + offsetMs);
  const results = await checkRegistrar(configOf(url, `sha256:${pki.serviceCa.pin}`), now);
  expect(results).toMatchObject([
    { check: 'registrar', outcome: 'fail', advice: expect.stringContaining('set the clock') },
    { check: 'clock', outcome: 'fail', message: expect.stringContaining(what) },
  ]);
});

test.each([
  [0, 'ok', /that of the registrar/],
  [4_999, 'ok', /that of the registrar/],
  [5_000, 'warn', /5 s ahead of/],
  [-59_999, 'warn', /60 s behind/],
  [60_000, 'fail', /60 s ahead of/],
  [-3_600_000, 'fail', /3600 s behind/],
])('clock: %d ms off', (skewMs, outcome, message) => {
  const there = new Date();
  const result = checkClock(new Date(there.getTime() + skewMs), there);
  expect(result).toMatchObject({ check: 'clock', outcome, message: expect.stringMatching(message) });
});

test('clock: a registrar that does not tell the time', () => {
  expect(checkClock(new Date(), undefined)).toMatchObject({ check: 'clock', outcome: 'warn' });
});
