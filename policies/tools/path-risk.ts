import { compileGlob } from '../path-glob.ts';
import { literalOf } from './glob-covers.ts';

/** Why a pattern should not be exempt from judgement. */
export type PathRisk = 'wide' | 'program' | 'writable';

/** Where programs, and what decides what they do, are kept. */
const TREES = [
  ...['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/etc', '/boot', '/opt', '/root'],
  ...['/snap', '/nix/store', '/gnu/store', '/var/lib/docker', '/var/lib/containerd', '/var/lib/dpkg'],
];
/** Where others than root may put a program. */
const WRITABLE = ['/tmp', '/var/tmp', '/dev/shm', '/home', '/run/user', '/run/shm'];
/** Directories in those trees that hold none. */
const DATA = /\/(doc|man|info|locale|zoneinfo|icons|fonts|log|logs)\//;
// No file has such a name: a pattern that matches it matches whatever lies in the directory.
const ANY_NAME = '\u0001';
const PROGRAMS = ['sh', 'bash', 'python3', 'systemd', 'libc.so.6'];
const PROGRAM_DIRECTORIES = [
  ...['/usr/bin', '/usr/sbin', '/usr/lib', '/usr/lib64', '/usr/libexec', '/usr/local/bin', '/bin', '/sbin'],
  ...['/lib', '/lib64', `/lib/${ANY_NAME}`, `/usr/lib/${ANY_NAME}`, `/lib/modules/${ANY_NAME}`],
  ...TREES.filter((tree) => tree !== '/usr'),
  ...[`/opt/${ANY_NAME}`, `/opt/${ANY_NAME}/bin`],
];
const PROBES = PROGRAM_DIRECTORIES.flatMap((directory) =>
  [ANY_NAME, ...PROGRAMS].map((name) => Buffer.from(`${directory}/${name}`)),
);
const WRITABLE_PROBES = WRITABLE.flatMap((directory) =>
  [ANY_NAME, `${ANY_NAME}/${ANY_NAME}`].map((name) => Buffer.from(`${directory}/${name}`)),
);

/**
 * Says what is risky about files that a pattern exempts: programs in several places (`wide`), one program, or a
 * place where others than root may put one. Undefined proves nothing: a program may be anywhere.
 */
export function pathRisk(text: string): PathRisk | undefined {
  const { matches } = compileGlob(text);
  const literal = literalOf(text);
  if (literal !== text) {
    const directory = literal.slice(0, literal.lastIndexOf('/') + 1);
    if (PROBES.some(matches) || (isIn(TREES, directory) && !DATA.test(directory))) return 'wide';
    return WRITABLE_PROBES.some(matches) || isIn(WRITABLE, directory) ? 'writable' : undefined;
  }
  if (isIn(WRITABLE, text)) return 'writable';
  // A single file of /etc is mostly one that each node has its own of.
  const isProgram = isIn(TREES, text) && !isIn(['/etc'], text) && !DATA.test(text);
  return isProgram ? 'program' : undefined;
}

/** Whether patterns take in the programs of the system and those that are put beside it. */
export function coversEverything(texts: readonly string[]): boolean {
  const globs = texts.map(compileGlob);
  const covers = (path: string) => globs.some((glob) => glob.matches(Buffer.from(path)));
  const beside = ['/opt', '/home', '/var', '/tmp', '/srv', '/root'];
  return (
    covers(`/usr/bin/${ANY_NAME}`) &&
    beside.some((directory) => covers(`${directory}/${ANY_NAME}/${ANY_NAME}`))
  );
}

function isIn(trees: readonly string[], path: string): boolean {
  return trees.some((tree) => path.startsWith(`${tree}/`));
}
