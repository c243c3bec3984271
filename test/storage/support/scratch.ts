import { existsSync } from 'node:fs';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory in memory where possible, that other users can enter: PostgreSQL may run as one. */
export async function scratchDirectory(name: string): Promise<string> {
  const base = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = await mkdtemp(join(base, `assay-${name}-`));
  await chmod(directory, 0o755);
  return directory;
}
