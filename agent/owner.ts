import { readFile } from 'node:fs/promises';
import { AssayError } from '../core/errors.ts';
import type { FileOwner } from './files.ts';

const FILES = { user: '/etc/passwd', group: '/etc/group' } as const;

/**
 * Numbers of a user and a group that are given by name or number. Names that only a directory service
 * knows must be given as numbers.
 *
 * @throws {AssayError} `invalid-config` for a name that is not there
 */
export async function resolveOwner(
  owner: { readonly user?: string | undefined; readonly group?: string | undefined },
  read: (path: string) => Promise<string> = (path) => readFile(path, 'utf8'),
): Promise<FileOwner | undefined> {
  if (owner.user === undefined && owner.group === undefined) return undefined;
  const uid = owner.user === undefined ? process.getuid?.() : await resolve('user', owner.user, read);
  const gid = owner.group === undefined ? process.getgid?.() : await resolve('group', owner.group, read);
  if (uid === undefined || gid === undefined) return undefined;
  return { uid, gid };
}

async function resolve(
  kind: 'user' | 'group',
  name: string,
  read: (path: string) => Promise<string>,
): Promise<number> {
  if (/^\d{1,9}$/.test(name)) return Number(name);
  const lines = (await read(FILES[kind])).split('\n').map((line) => line.split(':'));
  const id = lines.find((fields) => fields[0] === name)?.[2];
  if (id !== undefined && /^\d+$/.test(id)) return Number(id);
  throw new AssayError(
    'invalid-config',
    `there is no ${kind} "${name}" in ${FILES[kind]}; create it or give its number`,
  );
}
