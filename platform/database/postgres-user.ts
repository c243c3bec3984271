import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { AssayError } from '../../core/errors.ts';

/** PostgreSQL refuses to run as root; this is `nobody`, who owns nothing else. */
const UNPRIVILEGED_ID = 65534;
const STATE = '/var/lib/assay';

export function runsAsRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The user that PostgreSQL runs as and that owns its files; undefined: our own. */
export function postgresUser(): { readonly uid: number; readonly gid: number } | undefined {
  return runsAsRoot() ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : undefined;
}

/** A command that runs as that user; `options` go to setpriv, which is there on every Linux with util-linux. */
export function asPostgresUser(
  command: readonly [string, ...string[]],
  options: readonly string[] = [],
): [string, ...string[]] {
  const user = postgresUser();
  if (!user && options.length === 0) return [...command];
  const drop = user ? ['--reuid', String(user.uid), '--regid', String(user.gid), '--clear-groups'] : [];
  return ['setpriv', ...options, ...drop, ...command];
}

/**
 * Where a managed PostgreSQL can keep its data: `wanted`, unless we are root and the unprivileged user cannot get
 * there (a checkout under a closed home); then a place under /var/lib, with the reason to tell people.
 */
export async function dataDirectoryFor(
  wanted: string,
): Promise<{ readonly directory: string; readonly reason?: string }> {
  const closed = await closedAncestor(wanted);
  if (closed === undefined) return { directory: wanted };
  const directory = join(STATE, createHash('sha256').update(wanted).digest('hex').slice(0, 12));
  return {
    directory,
    reason: `PostgreSQL does not run as root, and its own user cannot enter ${closed}: the data is in ${directory}`,
  };
}

/** @throws {AssayError} `invalid-config` when the unprivileged user cannot get to `directory` */
export async function checkReachable(directory: string): Promise<void> {
  const closed = await closedAncestor(directory);
  if (closed === undefined) return;
  throw new AssayError(
    'invalid-config',
    `PostgreSQL does not run as root, and its own user (uid ${UNPRIVILEGED_ID}) cannot enter ${closed}: choose another data directory, such as ${STATE}, or run as an ordinary user`,
  );
}

// The topmost directory above `path` that the unprivileged user may not enter. Ones to be made will be open.
async function closedAncestor(path: string): Promise<string | undefined> {
  if (!runsAsRoot()) return undefined;
  const ancestors: string[] = [];
  for (let at = dirname(path); ; at = dirname(at)) {
    ancestors.unshift(at);
    if (at === dirname(at)) break;
  }
  for (const ancestor of ancestors) {
    const found = await stat(ancestor).catch(() => undefined);
    if (found === undefined) return undefined;
    const mine = found.uid === UNPRIVILEGED_ID ? 0o100 : found.gid === UNPRIVILEGED_ID ? 0o010 : 0o001;
    if ((found.mode & mine) === 0) return ancestor;
  }
  return undefined;
}
