import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { AssayError } from '../../core/errors.ts';

const PACKAGES = {
  swtpm: 'swtpm',
  swtpm_setup: 'swtpm-tools',
  swtpm_localca: 'swtpm-tools',
  setpriv: 'util-linux',
} as const;

/** The one line that brings everything this folder runs to a Debian or Ubuntu machine. */
const SWTPM_INSTALL_LINE = 'sudo apt-get install -y swtpm swtpm-tools';

/**
 * Absolute path of one of the programs this folder runs.
 *
 * @throws {AssayError} `unavailable`, with the line to type, when it is not on `PATH`
 */
export function findProgram(name: keyof typeof PACKAGES, path = process.env.PATH ?? ''): string {
  for (const folder of path.split(delimiter)) {
    const candidate = join(folder, name);
    if (folder !== '' && isExecutable(candidate)) return candidate;
  }
  throw new AssayError(
    'unavailable',
    `${name} (package ${PACKAGES[name]}) is not installed; install it with: ${SWTPM_INSTALL_LINE}`,
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
