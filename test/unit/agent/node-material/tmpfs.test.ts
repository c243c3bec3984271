import { expect, test } from 'vitest';
import { findMount, isInMemory } from '../../../../agent/node-material/tmpfs.ts';

const MOUNTS = [
  '22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw',
  '23 22 0:21 / /run rw,nosuid - tmpfs tmpfs rw,size=1g',
  '24 22 0:22 / /run/disk rw shared:2 master:1 - xfs /dev/sdb rw',
  '25 22 0:23 / /mnt/with\\040space rw - tmpfs tmpfs rw',
  '26 22 0:24 / /over rw - tmpfs tmpfs rw',
  '27 22 0:25 / /over rw - ext4 /dev/sdc rw',
  '',
].join('\n');

test.each([
  ['/run', 'tmpfs', true],
  ['/run/assay-agent', 'tmpfs', true],
  ['/run/disk/x', 'xfs', false],
  ['/runner', 'ext4', false],
  ['/var/lib', 'ext4', false],
  ['/mnt/with space/a', 'tmpfs', true],
  ['/over', 'ext4', false],
])('%s is on %s', (path, type, inMemory) => {
  const mount = findMount(MOUNTS, path);
  expect(mount?.type).toBe(type);
  expect(isInMemory(mount)).toBe(inMemory);
});

test('an unknown place is not taken for memory', () => {
  expect(isInMemory(findMount('', '/run'))).toBe(false);
});
