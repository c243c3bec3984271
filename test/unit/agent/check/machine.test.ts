import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkMaterial, checkState } from '../../../../agent/check/directories.ts';
import { checkContact, checkListen } from '../../../../agent/check/network.ts';
import { renderChecks } from '../../../../agent/check/render.ts';
import { type AgentConfig, loadConfig } from '../../../../agent/config.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'check-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function materialOf(changes: Partial<AgentConfig['material']>): AgentConfig['material'] {
  const flags = { registrar: 'https://localhost:1', ca: `sha256:${'0'.repeat(64)}` };
  return { ...loadConfig({ file: undefined, flags }).material, directory: folder, ...changes };
}

test('state: closed to others', async () => {
  expect(await checkState(folder)).toMatchObject({ check: 'state', outcome: 'ok' });
});

test('state: open to others', async () => {
  await chmod(folder, 0o750);
  const result = await checkState(folder);
  expect(result).toMatchObject({ outcome: 'fail', advice: `chmod 700 ${folder}` });
});

test('state: not there yet, and no place for it', async () => {
  expect(await checkState(join(folder, 'new'))).toMatchObject({ outcome: 'ok' });
  expect(await checkState(join(folder, 'no', 'new'))).toMatchObject({ outcome: 'fail' });
});

test('material: a place that is not there, with no place for it', async () => {
  const [place] = await checkMaterial(materialOf({ directory: join(folder, 'no', 'new') }));
  expect(place).toMatchObject({
    check: 'material',
    outcome: 'fail',
    advice: expect.stringContaining('tmpfiles'),
  });
});

test('material: on a memory file system or with a warning', async () => {
  await mkdir(join(folder, 'run'));
  const [place] = await checkMaterial(materialOf({ directory: join(folder, 'run') }));
  expect(place?.message).toMatch(place?.outcome === 'ok' ? /tmpfs|ramfs/ : /private keys reach a disk/);
  const [shm] = await checkMaterial(materialOf({ directory: '/dev/shm' }));
  expect(shm).toMatchObject({ outcome: 'ok', message: '/dev/shm is on tmpfs' });
});

test('material: an owner that does not exist, and one that only root can give', async () => {
  const [, unknown] = await checkMaterial(materialOf({ user: 'no-such-user' }));
  expect(unknown).toMatchObject({ outcome: 'fail', message: expect.stringContaining('no-such-user') });
  const [, other] = await checkMaterial(materialOf({ user: '4242', group: '4242' }));
  expect(other?.outcome).toBe(process.getuid?.() === 0 ? 'ok' : 'fail');
  const [, own] = await checkMaterial(materialOf({}));
  expect(own).toMatchObject({ outcome: 'ok' });
});

test('listen: free, taken, and an address that is not ours', async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  expect(await checkListen({ host: '127.0.0.1', port })).toMatchObject({ outcome: 'warn' });
  await new Promise((done) => server.close(done));
  expect(await checkListen({ host: '127.0.0.1', port })).toMatchObject({ outcome: 'ok' });
  const foreign = await checkListen({ host: '192.0.2.1', port });
  expect(foreign).toMatchObject({
    outcome: 'fail',
    message: expect.stringContaining('no address 192.0.2.1'),
  });
});

test('contact: an address, one that only this machine reaches, and a name that does not resolve', async () => {
  expect(await checkContact({ host: '192.0.2.1', port: 1 })).toMatchObject({ outcome: 'ok' });
  expect(await checkContact({ host: '127.0.0.1', port: 1 })).toMatchObject({ outcome: 'warn' });
  expect(await checkContact({ host: 'does-not-exist.invalid', port: 1 })).toMatchObject({ outcome: 'fail' });
});

test('what a person reads: a line each, what to do below it, control characters escaped', () => {
  const text = renderChecks([
    { check: 'tpm', outcome: 'ok', message: 'answers' },
    { check: 'clock', outcome: 'fail', message: 'is \u001b[31m wrong', advice: 'set it' },
  ]);
  const lines = text.split('\n');
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(/^ok +tpm +answers$/);
  expect(lines[1]).toMatch(/^FAIL +clock/);
  expect(text).not.toContain('\u001b');
  expect(lines[2]).toMatch(/-> set it$/);
  expect(lines[3]).toBe('2 checks, 1 failed, 0 with a warning');
});
