import { hash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { World } from '../../e2e/support/world.ts';
import { assay } from './assay.ts';
import type { Image } from './image.ts';
import { COMMAND_LINE } from './machine.ts';

export interface VmPolicy {
  /** Digest sets. */
  readonly allow: readonly string[];
  /** What the firmware may start. QEMU writes into the kernel before it is measured, so its digest is not known before a boot. */
  readonly applications: 'any' | { readonly allow: readonly string[] };
  readonly reaction: 'ban' | 'stop';
}

/** Stores a version of the policy of all nodes, as an administrator does, and says which. */
export async function setPolicy(world: World, image: Image, rules: VmPolicy): Promise<void> {
  const { allow, applications, reaction } = rules;
  const document = {
    ...{ assay: 'policy/v1', name: 'vm', reaction, freshness: { interval: '2s', 'trust-for': '2m' } },
    pcrs: { bank: 'sha256', require: '0-9' },
    boot: {
      ...{ profile: 'direct-kernel', 'secure-boot': 'any', applications },
      ...{ files: { allow: [await initrdDigest(image)] }, 'command-line': { 'any-of': [COMMAND_LINE] } },
    },
    ima: { allow },
  };
  const file = join(world.directory, 'vm.yaml');
  await writeFile(file, stringify(document));
  await assay(world, 'policy', 'add', file);
  await assay(world, 'policy', 'assign', 'vm', '--default');
}

export async function initrdDigest(image: Image): Promise<string> {
  return hash('sha256', await readFile(image.initrd));
}

/** Makes a digest set of all files of a directory, stores it, and gives its id. */
export async function importTree(world: World, name: string, tree: string): Promise<string> {
  const printed = await assay(world, '--json', 'digests', 'import', tree, '--name', name);
  const imported: { readonly id: string } = JSON.parse(printed);
  return imported.id;
}
