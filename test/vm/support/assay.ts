import { fileURLToPath } from 'node:url';
import type { World } from '../../e2e/support/world.ts';
import { run } from './run.ts';

const PROJECT = fileURLToPath(new URL('../../..', import.meta.url));

/** The command line tool as an administrator of `world` runs it; its standard output. */
export function assay(world: World, ...args: readonly string[]): Promise<string> {
  const profile = ['--profile', world.installation.clientProfile];
  return run(process.execPath, ['cli/main.ts', ...profile, ...args], { cwd: PROJECT });
}
