import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { destroyFile, destroyLeftovers, type FileOwner, isMissing, replaceFile } from '../files.ts';
import type { MaterialStore } from './keeper.ts';

export const MATERIAL_FILE = 'node.pem';

export interface MaterialFilesOptions {
  readonly directory: string;
  readonly owner: FileOwner | undefined;
  /** The node whose material may stand there; asked each time, since a new EK is a new node. */
  readonly nodeId: () => string | undefined;
  readonly now: () => Date;
  /** Takes away the key that could make new leaves. */
  readonly destroyKey: () => Promise<void>;
}

/** Node material in one file, in a directory that exists and is ours. */
export function materialFiles(options: MaterialFilesOptions): MaterialStore {
  const path = join(options.directory, MATERIAL_FILE);
  const destroy = async () => {
    // Both are tried, whatever becomes of the other: either alone is still usable.
    const results = await Promise.allSettled([destroyFile(path), options.destroyKey()]);
    await destroyLeftovers(options.directory);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };
  return {
    path,
    destroy,
    write: (pem) => replaceFile(path, pem, { owner: options.owner }),
    async restore() {
      await destroyLeftovers(options.directory);
      const pem = await readFile(path, 'utf8').catch((error: unknown) => {
        if (isMissing(error)) return undefined;
        throw error;
      });
      if (pem === undefined) return undefined;
      const notAfter = usableUntil(pem, options.nodeId(), options.now());
      if (notAfter === undefined) await destroy();
      return notAfter;
    },
  };
}

/** End of the leaf in `pem`, if it is this node's and not over. */
function usableUntil(pem: string, nodeId: string | undefined, now: Date): Date | undefined {
  try {
    const leaf = new X509Certificate(pem);
    const notAfter = new Date(leaf.validTo);
    return leaf.subject === `CN=${nodeId}` && notAfter > now ? notAfter : undefined;
  } catch {
    return undefined;
  }
}
