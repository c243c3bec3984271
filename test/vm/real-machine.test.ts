import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { NodeDetail } from '../../core/messages/node.ts';
import { expectAllRevoked } from '../e2e/support/checks.ts';
import { until } from '../e2e/support/until.ts';
import { useWorld } from '../e2e/support/world.ts';
import { assay } from './support/assay.ts';
import { COMMAND_LINE } from './support/machine.ts';
import { ALIAS, HOST_ADDRESS, MATERIAL, VirtualNode } from './support/node.ts';
import { importTree, initrdDigest, setPolicy } from './support/policy.ts';

// One machine, since a boot is dear: the tests are the chapters of its life, in this order.
const FIRST_PASS_MS = 120_000;
let node: VirtualNode;
let rootSet: string;

// First of all, since it is what a host may be unable to do.
beforeAll(async () => {
  node = await VirtualNode.make();
});
const world = useWorld({ hosts: [HOST_ADDRESS], timeout: '30s' });
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await node.lastWords());
});
afterAll(() => node?.close());

test('a machine passes under a policy made of its own root file system, initrd and command line', async () => {
  rootSet = await importTree(world(), 'vm-root', node.image.rootTree);
  await set({ applications: 'any' });
  await node.boot(world());
  const detail = await untilState('trusted', FIRST_PASS_MS);
  expect(detail).toMatchObject({ outcome: 'pass', reasons: [], epoch: 0, policy: 'vm@1' });
  await until('it has its certificate', () => hasMaterial());
  expect(await node.machine.run('cat /proc/cmdline')).toBe(COMMAND_LINE);
  const used = await node.machine.run('cat /sys/kernel/security/ima/ascii_runtime_measurements');
  for (const path of ['boot_aggregate', '/usr/sbin/init', '/usr/bin/busybox', '/usr/bin/node']) {
    expect(used).toContain(` ${path}\n`);
  }
}, 300_000);

test('its boot as the verifier drafts it is what it was started with, and the kernel can be pinned', async () => {
  const named = ['--node', ALIAS, '--name', 'vm', '--boot', 'direct-kernel'];
  const text = await assay(world(), 'policy', 'draft', ...named, '--command-line', COMMAND_LINE);
  const { boot } = parse(text);
  expect(boot).toMatchObject({
    ...{ 'option-roms': 'none', files: { allow: [await initrdDigest(node.image)] } },
    ...{ applications: { allow: [expect.any(String)] }, 'command-line': { 'any-of': [COMMAND_LINE] } },
  });
  await set({ applications: boot.applications });
  await untilPolicy('vm@2');
  expect(await detailOf()).toMatchObject({ state: 'trusted', outcome: 'pass', reasons: [], epoch: 0 });
});

test('without the set of its root file system it fails by what it runs, and is trusted again with it', async () => {
  // Some files are the same, and at the same path. PCR 9 has its initrd as a whole: IMA measures nothing in there.
  const initrdSet = await importTree(world(), 'vm-initrd', node.image.initrdTree);
  await set({ allow: [initrdSet], reaction: 'stop' });
  const failed = await untilState('failed');
  expect(failed.reasons.map(({ rule }) => rule)).toEqual(failed.reasons.map(() => 'ima.digest'));
  expect(failed.reasons.map(({ message }) => message)).toContainEqual(
    expect.stringMatching(/^\/usr\/sbin\/init is sha256:/),
  );
  await until('its certificate is gone', async () => !(await hasMaterial()));
  await set({});
  await untilState('trusted');
  await until('it has a certificate again', () => hasMaterial());
});

test('a program that its policy does not know: it is banned, and loses its certificate', async () => {
  await node.machine.run('cp /usr/bin/true /root/unknown && echo >>/root/unknown');
  // A file that nobody has run or read is no evidence of anything.
  const { passes } = await detailOf();
  await until('it passes twice more', async () => (await detailOf()).passes >= passes + 2);
  await node.machine.run('/root/unknown');
  const { reasons } = await untilState('banned');
  expect(reasons).toMatchObject([
    { rule: 'ima.digest', message: expect.stringMatching(/^\/root\/unknown is sha256:.*does not know/) },
  ]);
  expect(await assay(world(), 'node', 'show', ALIAS)).toContain('/root/unknown is sha256:');
  await until('its certificate is gone', async () => !(await hasMaterial()));
  await expectAllRevoked(world(), (await detailOf()).id);
});

/** A version of its policy: all that is known to be good, but for what is said. */
function set(changes: Partial<Parameters<typeof setPolicy>[2]>): Promise<void> {
  const rules = {
    allow: [rootSet],
    applications: 'any',
    reaction: 'ban',
    ...changes,
  } as const;
  return setPolicy(world(), node.image, rules);
}

function hasMaterial(): Promise<boolean> {
  return node.machine.succeeds(`test -s ${MATERIAL}`);
}

function detailOf(): Promise<NodeDetail> {
  return world().detail(ALIAS);
}

/** The machine is not known before it has enrolled. */
async function untilState(state: NodeDetail['state'], timeoutMs?: number): Promise<NodeDetail> {
  let last: NodeDetail | undefined;
  const look = async () => {
    last = await detailOf().catch(() => undefined);
    return last?.state === state;
  };
  await until(`the machine is ${state}`, look, timeoutMs).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${last?.state}: ${JSON.stringify(last?.reasons)}`);
  });
  return detailOf();
}

async function untilPolicy(version: string): Promise<void> {
  await until(`it was judged by ${version}`, async () => (await detailOf()).policy === version);
}
