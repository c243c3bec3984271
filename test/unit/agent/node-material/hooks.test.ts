import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { MaterialConfig } from '../../../../agent/config.ts';
import type { AgentEvent } from '../../../../agent/events.ts';
import { runHook } from '../../../../agent/node-material/hooks.ts';
import { HooksRunner } from '../../../../agent/node-material/hooks-runner.ts';

let folder: string;
const out = () => join(folder, 'out');
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hooks-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a list is run without a shell', async () => {
  const result = await runHook(['/usr/bin/touch', `${out()}; touch x`], {
    timeoutMs: 5_000,
    environment: {},
  });
  expect(result).toEqual({ ok: true });
  await expect(readFile(`${out()}; touch x`, 'utf8')).resolves.toBe('');
});

test('key.files: a hook gets its own environment and nothing of ours', async () => {
  process.env.HOOK_TEST_SECRET = 'secret';
  try {
    await runHook(`env > ${out()}`, { timeoutMs: 5_000, environment: { ASSAY_HOOK: 'on-change' } });
  } finally {
    delete process.env.HOOK_TEST_SECRET;
  }
  const names = (await readFile(out(), 'utf8')).split('\n').map((line) => line.split('=')[0]);
  expect(names).toContain('ASSAY_HOOK');
  expect(names).not.toContain('HOOK_TEST_SECRET');
  expect(names).not.toContain('HOME');
});

test.each([
  ['a command that fails', 'exit 3', /ended with 3/],
  ['a command that takes too long, with its children', 'sleep 30 & sleep 30', /longer than 0.2 s/],
])('%s', async (_name, command, message) => {
  const result = await runHook(command, { timeoutMs: 200, environment: {} });
  expect(result).toMatchObject({ ok: false, message: expect.stringMatching(message) });
});

test('a command that is not there', async () => {
  const result = await runHook(['/does/not/exist'], { timeoutMs: 1_000, environment: {} });
  expect(result).toMatchObject({ ok: false, message: expect.stringContaining('ENOENT') });
});

test('hooks run one after the other, each for its event', async () => {
  const events: AgentEvent[] = [];
  const material: MaterialConfig = {
    directory: folder,
    user: undefined,
    group: undefined,
    leafTtlMs: 1,
    keyMode: 'tpm',
    includeIssuingCa: false,
    hookTimeoutMs: 5_000,
    onChange: `sleep 0.1; echo change $ASSAY_MATERIAL >> ${out()}`,
    onRevoke: `echo revoke $ASSAY_REASON $ASSAY_NODE_ID >> ${out()}`,
  };
  const runner = new HooksRunner(
    material,
    () => 'id',
    (event) => events.push(event),
  );
  const now = new Date();
  runner.see({
    ...{ step: 'material-written', path: '/p', subject: '', issuer: '', renewed: false },
    ...{ notBefore: now, notAfter: now },
  });
  runner.see({ step: 'destroyed', reason: 'revoked', path: '/p' });
  runner.see({ step: 'revoked', reasons: [] });
  await runner.close();
  expect(await readFile(out(), 'utf8')).toBe('change /p\nrevoke revoked id\n');
  expect(events).toEqual([
    { step: 'hook', hook: 'on-change', ok: true },
    { step: 'hook', hook: 'on-revoke', ok: true },
  ]);
});
