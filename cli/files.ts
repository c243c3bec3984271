import { readFile, writeFile } from 'node:fs/promises';
import { arrayBuffer, text } from 'node:stream/consumers';
import { AssayError } from '../core/errors.ts';

/** A file that the user named, or standard input for `-`. */
export async function readTextFile(file: string): Promise<string> {
  if (file === '-') return text(process.stdin);
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AssayError('invalid-request', `cannot read ${file}: ${reason(cause)}`, { cause });
  }
}

/** The same for one that is not text. */
export async function readBytes(file: string): Promise<Uint8Array> {
  if (file === '-') return new Uint8Array(await arrayBuffer(process.stdin));
  try {
    return new Uint8Array(await readFile(file));
  } catch (cause) {
    throw new AssayError('invalid-request', `cannot read ${file}: ${reason(cause)}`, { cause });
  }
}

/** Refuses to overwrite: what the user has is never lost. */
export async function writeTextFile(file: string, content: string): Promise<void> {
  try {
    await writeFile(file, content, { flag: 'wx' });
  } catch (cause) {
    throw new AssayError('invalid-request', `cannot write ${file}: ${reason(cause)}`, { cause });
  }
}

function reason(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file or directory';
  if (code === 'EISDIR') return 'it is a directory';
  if (code === 'EACCES') return 'permission denied';
  if (code === 'EEXIST') return 'it exists already; choose another name or remove it first';
  return error instanceof Error ? error.message : String(error);
}
