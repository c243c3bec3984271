import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Anchor, anchorsOf } from './domain/anchor.ts';

const DIRECTORY = fileURLToPath(new URL('./trust-roots', import.meta.url));

/** The manufacturers' certificates that come with this release; docs say where each is from. */
export async function shippedAnchors(
  directory = DIRECTORY,
): Promise<readonly (Anchor & { readonly source: string })[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.pem')).sort();
  const files = await Promise.all(names.map((name) => readShipped(directory, name)));
  const anchors = new Map(files.flat().map((anchor) => [Buffer.from(anchor.sha256).toString('hex'), anchor]));
  return [...anchors.values()];
}

async function readShipped(directory: string, name: string) {
  const pem = await readFile(join(directory, name), 'utf8');
  return anchorsOf(pem).map((anchor) => ({ ...anchor, source: `shipped:${name}` }));
}
