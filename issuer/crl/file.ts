import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Writes DIRECTORY/GROUP.crl (DER) so that a reader sees the old one or the new one, never a part. */
export async function writeCrlFile(directory: string, group: string, der: Uint8Array): Promise<void> {
  await mkdir(directory, { recursive: true });
  const file = join(directory, `${group}.crl`);
  const unfinished = `${file}.${randomUUID()}`;
  try {
    await writeFile(unfinished, der, { mode: 0o644, flush: true });
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}
