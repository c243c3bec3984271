import { createPrivateKey, type KeyObject, randomUUID } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { AssayError } from '../../core/errors.ts';

const OWNER_ONLY = 0o600;
const OTHERS = 0o077;
const MAX_KEY_BYTES = 64 * 1024;

export interface KeyFileOptions {
  /** Encrypts the key (PKCS #8, PBES2 with AES-256-CBC) when given. */
  readonly passphrase?: string;
}

/**
 * Writes a private key as PKCS #8 PEM, readable by its owner alone (rule `key.files`). The file is complete or not
 * there, also after a crash: it is written beside its place, synced and renamed.
 */
export async function writeKeyFile(
  path: string,
  key: KeyObject,
  { passphrase }: KeyFileOptions = {},
): Promise<void> {
  const pem =
    passphrase === undefined
      ? key.export({ type: 'pkcs8', format: 'pem' })
      : key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase });
  await writePrivateFile(path, pem);
}

/** Writes a file as writeKeyFile does. */
export async function writePrivateFile(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    // 'wx': an existing file, or a link that waits there, is never written through.
    const file = await open(temporary, 'wx', OWNER_ONLY);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/**
 * Reads a private key that writeKeyFile wrote.
 *
 * @throws {AssayError} `invalid-config` when it is not there, when others may read or write it (rule `key.files`),
 *   when the passphrase is wrong, or when it is no key
 */
export async function readKeyFile(path: string, { passphrase }: KeyFileOptions = {}): Promise<KeyObject> {
  const pem = await readPrivateFile(path);
  try {
    return createPrivateKey(passphrase === undefined ? { key: pem } : { key: pem, passphrase });
  } catch (cause) {
    const isEncrypted = pem.includes('ENCRYPTED');
    const problem =
      isEncrypted && passphrase === undefined ? 'a passphrase is needed' : 'no key could be read';
    const hint = isEncrypted && passphrase !== undefined ? '; is the passphrase the right one?' : '';
    throw new AssayError('invalid-config', `key file ${path}: ${problem}${hint}`, { cause });
  }
}

/** The text of a file that only its owner may read. @throws {AssayError} as readKeyFile */
export async function readPrivateFile(path: string): Promise<string> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new AssayError('invalid-config', `key file ${path}: cannot be opened`, { cause });
  });
  try {
    // Of the open file: the path could lead to another one by now.
    const { mode, size } = await file.stat();
    if ((mode & OTHERS) !== 0) throw tooOpen(path, mode);
    if (size > MAX_KEY_BYTES) throw new AssayError('invalid-config', `key file ${path}: has ${size} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

function tooOpen(path: string, mode: number): AssayError {
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  const message = `key file ${path}: its mode is ${shown}, so others can reach it; run chmod 600 ${path}`;
  return new AssayError('invalid-config', message, { details: [{ rule: 'key.files', message }] });
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
