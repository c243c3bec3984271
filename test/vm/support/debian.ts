import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import type { HostPrograms } from './programs.ts';
import { run } from './run.ts';

/** In the order in which they are loaded. */
const MODULES = [
  ...['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci', 'virtio_blk'],
  ...['failover', 'net_failover', 'virtio_net'],
];

const KERNEL_FOLDER = 'kernel-package';

/** The newest kernel that the meta package names, by the apt that mmdebstrap has set up for the suite. */
const FETCH_KERNEL = `set -e
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: //p' | head -n 1)
mkdir "$1/${KERNEL_FOLDER}"
cd "$1/${KERNEL_FOLDER}"
apt-get -qq download "$kernel"`;

/** Packages are unpacked and not configured: no program of theirs runs on the host. */
const RECIPE = {
  suite: 'bookworm',
  arguments: [
    '--variant=extract',
    '--architectures=amd64',
    '--include=base-files,busybox-static,coreutils,dash,libgcc-s1,libstdc++6',
    '--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr',
    `--extract-hook=${FETCH_KERNEL}`,
  ],
  modules: MODULES,
};

const BUILD_MS = 240_000;

/** Parts of Debian that a machine is made of. They stay in a cache: what is of this project is not among them. */
export interface DebianParts {
  /** Tar archive of the root file system. */
  readonly root: string;
  readonly kernel: string;
  /** Kernel modules. */
  readonly modules: readonly string[];
}

/** From the cache, which is filled from a Debian mirror when there is nothing of this recipe. */
export async function debianParts(programs: HostPrograms): Promise<DebianParts> {
  const version = hash('sha256', JSON.stringify(RECIPE)).slice(0, 16);
  const cache = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const directory = join(cache, 'assay', `vm-${version}`);
  if (!existsSync(directory)) await build(directory, programs);
  return {
    root: join(directory, 'root.tar'),
    kernel: join(directory, 'vmlinuz'),
    modules: MODULES.map((name) => join(directory, `${name}.ko`)),
  };
}

async function build(directory: string, programs: HostPrograms): Promise<void> {
  console.error(`Fetching Debian's kernel and packages into ${directory} …`);
  const scratch = `${directory}.${process.pid}`;
  const made = join(scratch, 'made');
  await mkdir(made, { recursive: true });
  try {
    const root = join(made, 'root.tar');
    const options = { timeoutMs: BUILD_MS };
    await run(programs.find('mmdebstrap'), [...RECIPE.arguments, RECIPE.suite, root], options);
    await takeKernel(root, scratch, made, programs);
    await rename(made, directory);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function takeKernel(root: string, scratch: string, made: string, programs: HostPrograms) {
  await run(programs.find('tar'), ['-C', scratch, '-xf', root, `./${KERNEL_FOLDER}`]);
  const [file] = await readdir(join(scratch, KERNEL_FOLDER));
  if (file === undefined) throw new Error('the mirror gave no kernel');
  await run(programs.find('dpkg-deb'), ['-x', join(scratch, KERNEL_FOLDER, file), join(scratch, 'kernel')]);
  await run(programs.find('tar'), ['--delete', '-f', root, `./${KERNEL_FOLDER}`]);
  const files = await readdir(join(scratch, 'kernel'), { recursive: true });
  const take = async (found: string | undefined, name: string) => {
    if (found === undefined) throw new Error(`${file} has no ${name}`);
    await copyFile(join(scratch, 'kernel', found), join(made, name));
  };
  await take(
    files.find((path) => /^boot\/vmlinuz-/.test(path)),
    'vmlinuz',
  );
  for (const name of MODULES) {
    await take(
      files.find((path) => basename(path) === `${name}.ko`),
      `${name}.ko`,
    );
  }
}
