import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { InspectedEventLog } from '../../core/eventlog/index.ts';
import { expectBanned } from './support/checks.ts';
import { CLEAN_ENTRIES, debianPolicy, storedSet, Twin } from './support/twin.ts';
import { useWorld } from './support/world.ts';

const world = useWorld();

interface Boot {
  readonly firmware: InspectedEventLog | null;
}

test('a Debian machine with Secure Boot and IMA passes, and loses all by an unknown program', async () => {
  await world().setPolicy(`${debianPolicy()}ima: { allow: ['${await storedSet(world())}'] }\n`);
  const node = await world().node('debian');
  const twin = new Twin(node);
  await twin.boot('sb-clean-1');
  await twin.use('sb-unknown-binary', CLEAN_ENTRIES - 10);
  await node.start({ token: await world().token(), logs: twin.logs });
  await node.events.until('material-written');

  await node.stop();
  await twin.use('sb-unknown-binary', CLEAN_ENTRIES);
  await node.start({ logs: twin.logs });
  await node.events.until('material-written');
  expect((await world().detail(node.id)).state).toBe('trusted');
  const { firmware } = await world().api.get<Boot>('verifier', `/v1/nodes/${node.id}/boot`);
  expect(firmware?.events).toHaveLength(49);
  expect(firmware?.events[4]).toMatchObject({ register: 'PCR 7', says: 'SecureBoot = true', proven: true });

  await node.stop();
  await twin.use('sb-unknown-binary');
  await node.start({ logs: twin.logs });
  await expectBanned(world(), node.id, 'ima.digest');
  const { reasons } = await world().detail(node.id);
  expect(reasons.map(({ message }) => message)).toEqual([
    expect.stringMatching(/^\/usr\/local\/bin\/unknown is sha256:.*does not know this path$/),
    expect.stringMatching(/^\/usr\/local\/bin\/evil\.sh is sha256:.*does not know this path$/),
  ]);
  await node.events.until('destroyed');
  expect(existsSync(node.material)).toBe(false);
});

test('the same machine boots with another command line, and fails by the event', async () => {
  await world().setPolicy(debianPolicy().replace('- init=*', '- lab.debug=*'));
  const node = await world().node('rebooted');
  const twin = new Twin(node);
  await twin.boot('sb-clean-1');
  await node.start({ token: await world().token(), logs: twin.logs });
  await node.events.until('material-written');

  await node.stop();
  await node.swtpm.reset();
  await twin.boot('sb-cmdline-changed');
  await node.start({ logs: twin.logs });
  await expectBanned(world(), node.id, 'boot.command-line');
  const { reasons } = await world().detail(node.id);
  expect(reasons[0]).toMatchObject({
    ...{ rule: 'boot.command-line', pcr: 8 },
    message: expect.stringContaining('with "lab.debug=1", which the policy forbids'),
  });
});
