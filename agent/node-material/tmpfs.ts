/** The mount that holds a path. */
export interface MountPoint {
  readonly path: string;
  readonly type: string;
}

const IN_MEMORY: ReadonlySet<string> = new Set(['tmpfs', 'ramfs']);

/**
 * The mount a path is on, by the text of /proc/self/mountinfo. Later lines cover earlier ones at the same
 * place. `path` must be absolute and without symbolic links.
 */
export function findMount(mountinfo: string, path: string): MountPoint | undefined {
  let found: MountPoint | undefined;
  for (const line of mountinfo.split('\n')) {
    // id parent major:minor root MOUNT-POINT options [optional…] - TYPE source options
    const [left = '', right = ''] = line.split(' - ', 2);
    const mount = unescapePath(left.split(' ')[4] ?? '');
    const type = right.split(' ')[0] ?? '';
    if (mount === '' || type === '' || !isWithin(path, mount)) continue;
    if (found === undefined || mount.length >= found.path.length) found = { path: mount, type };
  }
  return found;
}

export function isInMemory(mount: MountPoint | undefined): boolean {
  return mount !== undefined && IN_MEMORY.has(mount.type);
}

// /run does not hold /runner.
function isWithin(path: string, mount: string): boolean {
  return mount === '/' || path === mount || path.startsWith(`${mount}/`);
}

function unescapePath(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
