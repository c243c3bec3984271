import { DIGESTS, type DigestName, type FileDigestName, imageDigestName } from './digest-entry.ts';

/**
 * A digest set as bytes, which are also how it lies in memory. All numbers are u32 little-endian, all parts start at a
 * multiple of four:
 *
 * - magic, 8 bytes: which algorithms the set has room for. Sets without digests of images have a form of their own
 * - length of the metadata; number of paths; bytes of all paths; then for each algorithm, in the form's order, its
 *   number of entries
 * - metadata: JSON, `{ packages: [[name, version, arch], …], sources: [{ kind, sha256? }, …] }`
 * - paths: where each starts, and where the last ends; then their bytes, ascending
 * - for each algorithm: the digests, ascending by digest and then by path; the path of each; the package of each
 *
 * Everything has one order, so that the same content has the same bytes and one SHA-256, which is its id.
 */
export interface Form {
  readonly magic: Buffer;
  readonly algorithms: readonly DigestName[];
}
export const MAGIC_BYTES = 8;
const ALGORITHMS: readonly FileDigestName[] = ['sha256', 'sha384', 'sha512'];
export const FILES_FORM: Form = { magic: Buffer.from('ASSAYDS1', 'latin1'), algorithms: ALGORITHMS };
export const IMAGES_FORM: Form = {
  magic: Buffer.from('ASSAYDS2', 'latin1'),
  algorithms: [...ALGORITHMS, ...ALGORITHMS.map(imageDigestName)],
};

export function headerBytes({ algorithms }: Form): number {
  return MAGIC_BYTES + 4 * (3 + algorithms.length);
}

/** Package of an entry that came without one. */
export const NO_PACKAGE = 0xffff_ffff;

/** Limits that keep every offset within 32 bits and a load within seconds. */
export const MAX_ENTRIES = 16_000_000;
export const MAX_PATH_BYTES = 4096;
export const MAX_METADATA_BYTES = 256 * 1024 * 1024;

export interface Counts {
  readonly metadataBytes: number;
  readonly paths: number;
  readonly pathBytes: number;
  /** In the form's order. */
  readonly entries: readonly number[];
}

/** Where each part starts. */
export interface Layout {
  readonly metadata: number;
  readonly pathStarts: number;
  readonly pathBytes: number;
  readonly groups: readonly { readonly digests: number; readonly paths: number; readonly packages: number }[];
  readonly end: number;
}

export function layoutOf(form: Form, counts: Counts): Layout {
  const metadata = headerBytes(form);
  const pathStarts = aligned(metadata + counts.metadataBytes);
  const pathBytes = pathStarts + 4 * (counts.paths + 1);
  let at = aligned(pathBytes + counts.pathBytes);
  const groups = form.algorithms.map((algorithm, index) => {
    const count = counts.entries[index] ?? 0;
    const digests = at;
    const paths = digests + count * DIGESTS[algorithm];
    const packages = paths + 4 * count;
    at = packages + 4 * count;
    return { digests, paths, packages };
  });
  return { metadata, pathStarts, pathBytes, groups, end: at };
}

function aligned(offset: number): number {
  return Math.ceil(offset / 4) * 4;
}
