import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { getPcrBanks } from '../../agent/tpm/commands/capability.ts';
import { readClock } from '../../agent/tpm/commands/clock.ts';
import { findEndorsementKey } from '../../agent/tpm/endorsement.ts';
import { Tpm } from '../../agent/tpm/tpm.ts';
import { startSwtpm } from '../../tpm-sim/swtpm/process.ts';
import { findProgram } from '../../tpm-sim/swtpm/programs.ts';
import { provisionSwtpm } from '../../tpm-sim/swtpm/provision.ts';
import { TpmLab } from './support/tpm-lab.ts';

let lab: TpmLab;
beforeAll(async () => {
  lab = await TpmLab.open(['sha256']);
});
afterEach(() => lab.stopAll());
afterAll(() => lab.close());

/** A zombie, which nobody may have collected yet, is as gone as a process can be. */
async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  return status !== '' && !/\) [ZX] /.test(status);
}

async function untilGone(pid: number): Promise<boolean> {
  for (let attempt = 0; attempt < 200 && (await isRunning(pid)); attempt += 1) await sleep(10);
  return !(await isRunning(pid));
}

describe('swtpm', () => {
  test.each(['unix', 'tcp'] as const)('starts, reboots and stops over %s', async (transport) => {
    const { tpm, swtpm } = await lab.start({ transport });
    expect(await isRunning(swtpm.pid)).toBe(true);
    const first = await tpm.use(readClock);
    await swtpm.reset();
    const second = await tpm.use(readClock);
    expect(second.resetCount).toBe(first.resetCount + 1);
    await tpm.close();
    await swtpm.stop();
    expect(await isRunning(swtpm.pid)).toBe(false);
  });

  test('works in a directory whose name is longer than a socket path may be', async () => {
    const state = lab.path(`${'long '.repeat(30)}name`);
    await provisionSwtpm(state, { ca: lab.path('ca'), pcrBanks: ['sha384'] });
    const swtpm = await startSwtpm(state, { transport: 'unix' });
    expect(swtpm.address.length).toBeLessThan(108);
    const tpm = await Tpm.open(swtpm.address);
    expect(await tpm.use(getPcrBanks)).toMatchObject([{ hash: 'sha384' }]);
    await tpm.close();
    await swtpm.stop();
    await expect(Tpm.open(swtpm.address)).rejects.toThrow('no such socket');
  });

  test('a second TPM of the same CA has another EK, a copy has the same', async () => {
    await provisionSwtpm(lab.path('second'), { ca: lab.path('ca'), vmId: 'second' });
    const second = await startSwtpm(lab.path('second'), { transport: 'unix' });
    const [one, copy] = [await lab.start(), await lab.start()];
    const other = await Tpm.open(second.address);
    const [a, b, c] = await Promise.all([one.tpm, copy.tpm, other].map((tpm) => findEndorsementKey(tpm)));
    expect(b?.public).toEqual(a?.public);
    expect(c?.public.unique).not.toEqual(a?.public.unique);
    await other.close();
    await second.kill();
  });

  test('a second swtpm on one state is an error with the reason', async () => {
    const { state } = await lab.start();
    await expect(startSwtpm(state, { transport: 'tcp' })).rejects.toThrow(
      /swtpm did not start on .*: .*libtpms/,
    );
  });

  test('does not outlive a parent that is killed', async () => {
    const state = lab.path('orphan');
    await provisionSwtpm(state, { ca: lab.path('ca') });
    const module = new URL('../../tpm-sim/swtpm/process.ts', import.meta.url).href;
    const script = `import { startSwtpm } from ${JSON.stringify(module)};
      const { pid } = await startSwtpm(${JSON.stringify(state)}, { transport: 'unix' });
      console.log(pid); setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output] = await once(parent.stdout, 'data');
    const pid = Number(String(output));
    expect(await isRunning(pid)).toBe(true);
    parent.kill('SIGKILL');
    expect(await untilGone(pid)).toBe(true);
  });

  test('a machine without it is told the one line to type', () => {
    expect(() => findProgram('swtpm_setup', '/nonexistent')).toThrow(
      'swtpm_setup (package swtpm-tools) is not installed; install it with: sudo apt-get install -y swtpm swtpm-tools',
    );
  });
});
