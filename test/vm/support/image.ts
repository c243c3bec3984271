import { chmod, copyFile, mkdir, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type DebianParts, debianParts } from './debian.ts';
import type { HostPrograms } from './programs.ts';
import { run } from './run.ts';

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));
const GUEST = fileURLToPath(new URL('../guest', import.meta.url));
const DISK_BYTES = 384 * 1024 * 1024;

/** What a machine boots from. The two trees are what its disk and its initrd were made of. */
export interface Image {
  readonly kernel: string;
  readonly initrd: string;
  readonly disk: string;
  readonly rootTree: string;
  readonly initrdTree: string;
}

/** Debian with this project's agent, as `npm run build` bundles it, and the Node that is packaged with it. */
export async function makeImage(directory: string, programs: HostPrograms): Promise<Image> {
  const parts = await debianParts(programs);
  const image: Image = {
    kernel: parts.kernel,
    initrd: join(directory, 'initrd.img'),
    disk: join(directory, 'root.ext4'),
    rootTree: join(directory, 'root'),
    initrdTree: join(directory, 'initrd'),
  };
  await run(process.execPath, ['scripts/build.ts'], { cwd: PROJECT });
  await makeRootTree(image.rootTree, parts, programs);
  await makeInitrdTree(image, parts);
  await pack(image.initrdTree, image.initrd, programs);
  await writeFile(image.disk, '');
  await truncate(image.disk, DISK_BYTES);
  await run(programs.find('mke2fs'), [
    ...['-q', '-t', 'ext4', '-O', '^has_journal', '-E', 'lazy_itable_init=0', '-d', image.rootTree],
    image.disk,
  ]);
  return image;
}

async function makeRootTree(tree: string, parts: DebianParts, programs: HostPrograms): Promise<void> {
  await mkdir(tree);
  // mmdebstrap copies the host's names of itself and of its resolvers.
  const without = [
    './etc/resolv.conf',
    './etc/hostname',
    './dev/*',
    './var/lib/dpkg',
    './var/cache',
    './usr/share/doc',
  ];
  const exclude = without.map((path) => `--exclude=${path}`);
  await run(programs.find('tar'), ['-C', tree, ...exclude, '-xf', parts.root]);
  await mkdir(join(tree, 'var/lib'), { recursive: true });
  await mkdir(join(tree, 'usr/lib/assay'));
  await copyFile(process.execPath, join(tree, 'usr/bin/node'));
  await copyFile(join(PROJECT, 'dist/assay-agent.js'), join(tree, 'usr/lib/assay/assay-agent.js'));
  await program(join(GUEST, 'assay-agent'), join(tree, 'usr/bin/assay-agent'));
  await program(join(GUEST, 'init'), join(tree, 'usr/sbin/init'));
}

async function makeInitrdTree({ initrdTree, rootTree }: Image, parts: DebianParts): Promise<void> {
  for (const folder of ['usr/bin', 'modules', 'proc', 'sys', 'dev', 'root']) {
    await mkdir(join(initrdTree, folder), { recursive: true });
  }
  for (const module of parts.modules) await copyFile(module, join(initrdTree, 'modules', basename(module)));
  await program(join(rootTree, 'usr/bin/busybox'), join(initrdTree, 'usr/bin/busybox'));
  await program(join(GUEST, 'initrd-init'), join(initrdTree, 'init'));
}

async function program(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  await chmod(to, 0o755);
}

async function pack(tree: string, archive: string, programs: HostPrograms): Promise<void> {
  const script = `find . | LC_ALL=C sort | "$1" -o -H newc --quiet --owner=0:0 --reproducible >"$2"`;
  await run('/bin/sh', ['-c', script, 'sh', programs.find('cpio'), archive], { cwd: tree });
}
