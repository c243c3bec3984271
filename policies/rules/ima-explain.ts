import { equalBytes, toHex } from '../../core/bytes/encoding.ts';
import type { FileDigestName, PackageRef } from '../digests/digest-entry.ts';
import type { DigestSet } from '../digests/digest-set.ts';

export interface RefusedFile {
  readonly path: Uint8Array;
  /** The path as text that is safe to show. */
  readonly shown: string;
  readonly algorithm: FileDigestName;
  readonly digest: Uint8Array;
  /** The sets of the policy. */
  readonly allow: readonly DigestSet[];
  /** All sets that there are. */
  readonly known: readonly DigestSet[];
}

const NAMED = 3;

/** Why a file is not allowed, with the packages, as far as any set knows the path or the bytes. */
export function explainFile(file: RefusedFile): string {
  const { shown, algorithm, digest, allow } = file;
  const found = `${shown} is ${algorithm}:${toHex(digest)}`;
  const own = originOf(file);
  const of = own === undefined ? '' : `, of ${own}`;
  const expected = allow.flatMap((set) => set.filesAt(file.path));
  if (expected.length === 0) {
    const elsewhere = allow.some((set) => set.knows(algorithm, digest));
    const why = elsewhere ? 'allows these bytes at other paths only' : 'does not know this path';
    return `${found}${of}; the policy ${why}`;
  }
  const packages = distinct(expected.flatMap((one) => (one.package ? [nameOf(one.package)] : [])));
  if (packages.length > 0) return `${found}${of}; the policy knows it of ${list(packages)}`;
  const digests = distinct(expected.map((one) => `${one.algorithm}:${toHex(one.digest)}`));
  return `${found}${of}; the policy knows it as ${list(digests)}`;
}

/** The package of exactly this file, from any set. */
function originOf({ path, algorithm, digest, known }: RefusedFile): string | undefined {
  for (const set of known) {
    const same = set
      .filesAt(path)
      .find((one) => one.algorithm === algorithm && equalBytes(one.digest, digest));
    if (same?.package) return nameOf(same.package);
  }
  return undefined;
}

function nameOf({ name, version, arch }: PackageRef): string {
  return [name, version, arch].filter((part) => part !== '').join(' ');
}

function distinct(texts: readonly string[]): string[] {
  return [...new Set(texts)].sort();
}

function list(texts: readonly string[]): string {
  const more = texts.length - NAMED;
  return `${texts.slice(0, NAMED).join(' or ')}${more > 0 ? ` or ${more} more` : ''}`;
}
