import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PublishedCrl } from './publisher.ts';

export type WriteCrl = (group: string, crl: PublishedCrl) => Promise<void>;

/** Keeps DIRECTORY/GROUP.crl up to date; a CRL that was written already is not written again. */
export function crlFiles(directory: string): WriteCrl {
  const written = new Map<string, bigint>();
  return async (group, { number, der }) => {
    if (written.get(group) === number) return;
    await writeCrlFile(directory, group, der);
    written.set(group, number);
  };
}

/** Writes DIRECTORY/GROUP.crl (DER) so that a reader sees the old one or the new one, never a part. */
async function writeCrlFile(directory: string, group: string, der: Uint8Array): Promise<void> {
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
