import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

export interface WriteOptions {
  readonly mode?: number;
  /** Unless given, the process itself. */
  readonly owner?: FileOwner | undefined;
}

const PRIVATE = 0o600;
const LEFTOVER = /^\..+\.[0-9a-f]{16}\.tmp$/;

/**
 * Replaces a file so that a reader sees the old one or the new one, whole, and so that it is there after
 * a power cut. The new file has its mode and owner before it has content.
 */
export async function replaceFile(path: string, content: string, options: WriteOptions = {}): Promise<void> {
  const temporary = temporaryName(path);
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, PRIVATE);
  try {
    if (options.owner !== undefined) await file.chown(options.owner.uid, options.owner.gid);
    await file.chmod(options.mode ?? PRIVATE);
    await file.writeFile(content);
    await file.sync();
    await file.close();
    await rename(temporary, path);
  } catch (error) {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/**
 * Takes a secret away: out of its name first, so that nobody opens it any more or reads half of it, then
 * overwritten, then unlinked. On flash and on copy-on-write file systems only tmpfs makes the
 * overwriting mean something.
 */
export async function destroyFile(path: string): Promise<boolean> {
  const doomed = temporaryName(path);
  try {
    await rename(path, doomed);
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
  try {
    await overwrite(doomed);
  } finally {
    await rm(doomed, { force: true });
    await syncDirectory(dirname(path));
  }
  return true;
}

/** Removes what an interrupted `replaceFile` or `destroyFile` left in a directory. */
export async function destroyLeftovers(directory: string): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (isMissing(error)) return [];
    throw error;
  });
  for (const name of names) {
    if (!LEFTOVER.test(name)) continue;
    await overwrite(join(directory, name)).catch(() => {});
    await rm(join(directory, name), { force: true });
  }
}

/** Opens a file to read; nothing where there is none. */
export async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

function temporaryName(path: string): string {
  return join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}.tmp`);
}

async function overwrite(path: string): Promise<void> {
  const file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  try {
    const { size } = await file.stat();
    await file.write(new Uint8Array(size), 0, size, 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  let directory: FileHandle | undefined;
  try {
    directory = await open(path, constants.O_RDONLY);
    await directory.sync();
  } catch {
    // Some file systems cannot; the rename has happened all the same.
  } finally {
    await directory?.close();
  }
}
