import { hash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { NodeDetail } from '../../core/messages/node.ts';
import { until } from '../e2e/support/until.ts';
import { useWorld } from '../e2e/support/world.ts';
import { assay } from './support/assay.ts';
import { COMMAND_LINE } from './support/machine.ts';
import { ALIAS, HOST_ADDRESS, MATERIAL, VirtualNode } from './support/node.ts';

// One machine for all tests of this file: they are the chapters of its life.
const world = useWorld({ hosts: [HOST_ADDRESS], timeout: '30s' });
const sets = { root: '', initrd: '' };
let node: VirtualNode;

beforeAll(async () => {
  node = await VirtualNode.make();
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(await node.machine.lastWords());
});
afterAll(() => node?.close());

test('a machine passes under a policy made of its own root file system, initrd and command line', async () => {
  sets.root = await importTree('vm-root', node.image.rootTree);
  sets.initrd = await importTree('vm-initrd', node.image.initrdTree);
  await setPolicy({ allow: [sets.root, sets.initrd] });
  await node.boot(world());
  const detail = await untilState('trusted', 120_000);
  expect(detail).toMatchObject({ outcome: 'pass', reasons: [], epoch: 0 });
  console.log(
    await node.machine.run('cat /proc/cmdline; wc -l /sys/kernel/security/ima/ascii_runtime_measurements'),
  );
}, 360_000);

test('a program that its policy does not know: it is banned, and loses its certificate', async () => {
  await until('node.pem is there', () => node.machine.succeeds(`test -s ${MATERIAL}`));
  await node.machine.run('cp /usr/bin/true /root/unknown; echo >>/root/unknown');
  await node.machine.run('/root/unknown');
  const detail = await untilState('banned');
  expect(detail.reasons).toMatchObject([
    { rule: 'ima.digest', message: expect.stringMatching(/^\/root\/unknown is sha256:/) },
  ]);
  await until('node.pem is gone', async () => !(await node.machine.succeeds(`test -e ${MATERIAL}`)));
});

async function importTree(name: string, tree: string): Promise<string> {
  const imported: { id: string } = JSON.parse(
    await assay(world(), '--json', 'digests', 'import', tree, '--name', name),
  );
  return imported.id;
}

async function setPolicy({
  allow,
  applications = 'any',
  reaction = 'ban',
}: {
  readonly allow: readonly string[];
  readonly applications?: unknown;
  readonly reaction?: 'ban' | 'stop';
}): Promise<void> {
  const initrd = hash('sha256', await readFile(node.image.initrd));
  const file = join(world().directory, 'vm.yaml');
  await writeFile(
    file,
    stringify({
      ...{ assay: 'policy/v1', name: 'vm', freshness: { interval: '2s', 'trust-for': '2m' }, reaction },
      pcrs: { bank: 'sha256', require: '0-9' },
      boot: {
        ...{ profile: 'direct-kernel', 'secure-boot': 'any', applications },
        ...{ files: { allow: [initrd] }, 'command-line': { 'any-of': [COMMAND_LINE] } },
      },
      ima: { allow },
    }),
  );
  await assay(world(), 'policy', 'add', file);
  await assay(world(), 'policy', 'assign', 'vm', '--default');
}

async function untilState(state: NodeDetail['state'], timeoutMs = 60_000): Promise<NodeDetail> {
  let last: NodeDetail | undefined;
  await until(
    `the machine is ${state}`,
    async () => {
      last = await world()
        .api.get<NodeDetail>('registrar', `/v1/nodes/${ALIAS}`)
        .catch(() => undefined);
      return last?.state === state;
    },
    timeoutMs,
  ).catch((error: Error) => {
    throw new Error(`${error.message}; it is ${JSON.stringify(last)}`);
  });
  return world().detail(ALIAS);
}
