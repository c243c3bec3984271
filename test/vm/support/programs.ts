import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** What a real machine needs of the host, and the Debian package that brings it. */
const NEEDED: Readonly<Record<string, string>> = {
  'qemu-system-x86_64': 'qemu-system-x86',
  swtpm: 'swtpm',
  swtpm_setup: 'swtpm-tools',
  mmdebstrap: 'mmdebstrap',
  'dpkg-deb': 'dpkg',
  cpio: 'cpio',
  mke2fs: 'e2fsprogs',
  setpriv: 'util-linux',
  tar: 'tar',
};
const FIRMWARE_DIRECTORY = '/usr/share/OVMF';
const FIRMWARE = { code: 'OVMF_CODE_4M.fd', variables: 'OVMF_VARS_4M.fd' };

export interface HostPrograms {
  /** Absolute path of a program. */
  find(program: keyof typeof NEEDED): string;
  readonly firmware: { readonly code: string; readonly variables: string };
}

/** @throws {Error} that names everything which is missing, and the line that installs it */
export function hostPrograms(
  path = process.env.PATH ?? '',
  firmwareDirectory = FIRMWARE_DIRECTORY,
): HostPrograms {
  const folders = [...path.split(delimiter), '/usr/sbin', '/sbin'].filter((folder) => folder !== '');
  const found = new Map<string, string>();
  const missing = new Map<string, string>();
  for (const [program, debianPackage] of Object.entries(NEEDED)) {
    const place = folders.map((folder) => join(folder, program)).find((file) => can(file, constants.X_OK));
    if (place === undefined) missing.set(program, debianPackage);
    else found.set(program, place);
  }
  const firmware = {
    code: join(firmwareDirectory, FIRMWARE.code),
    variables: join(firmwareDirectory, FIRMWARE.variables),
  };
  for (const file of Object.values(firmware)) if (!can(file, constants.R_OK)) missing.set(file, 'ovmf');
  if (missing.size > 0) {
    throw new Error(
      `no virtual machine can run here: ${[...missing.keys()].join(', ')} missing; install with: apt-get install -y --no-install-recommends ${[...new Set(missing.values())].join(' ')}`,
    );
  }
  return {
    firmware,
    find(program) {
      const place = found.get(program);
      if (place === undefined)
        throw new TypeError(`${program} is not among the programs that are looked for`);
      return place;
    },
  };
}

function can(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}
