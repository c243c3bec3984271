import { equalBytes, toHex } from '../../core/bytes/encoding.ts';
import type { Finding } from '../../core/finding.ts';
import { type FileDigestName, isFileDigestName, type PackageRef } from '../digests/digest-entry.ts';
import type { DigestSet, KnownFile } from '../digests/digest-set.ts';

export interface RefusedFile {
  /** Its place in the whole list. */
  readonly entry: number;
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
export function explainFile(refused: RefusedFile): Omit<Finding, 'rule'> {
  const { entry, shown, algorithm, digest, allow } = refused;
  const own = originOf(refused);
  const expected = allow.flatMap((set) => filesAt(set, refused.path));
  const packages = distinct(expected.flatMap((one) => (one.package ? [nameOf(one.package)] : [])));
  const digests = distinct(expected.map((one) => `${one.algorithm}:${toHex(one.digest)}`));
  const found = `${algorithm}:${toHex(digest)}`;
  const isElsewhere = expected.length === 0 && allow.some((set) => set.knows(algorithm, digest));
  const of = own === undefined ? '' : `, of ${own}`;
  return {
    message: `${shown} is ${found}${of}; the policy ${knowledge(packages, digests, isElsewhere)}`,
    file: {
      ...{ path: shown, entry },
      ...(own === undefined ? {} : { package: own }),
      ...(packages.length > 0 ? { expectedPackages: packages.slice(0, NAMED) } : {}),
    },
    found,
    ...(digests.length > 0 ? { expected: digests.slice(0, NAMED) } : {}),
    remedy: remedyFor(own, packages, isElsewhere, digests.length > 0),
  };
}

function knowledge(packages: readonly string[], digests: readonly string[], isElsewhere: boolean): string {
  if (packages.length > 0) return `knows it of ${list(packages)}`;
  if (digests.length > 0) return `knows it as ${list(digests)}`;
  return isElsewhere ? 'allows these bytes at other paths only' : 'does not know this path';
}

const IMPORT = '(assay digests import) and name the set in ima.allow';

function remedyFor(
  own: string | undefined,
  packages: readonly string[],
  isElsewhere: boolean,
  isKnownPath: boolean,
): string {
  if (own !== undefined) return `name the digest set that has ${own} in ima.allow, or take it off the node`;
  if (isElsewhere) return 'find out who put it there; bytes that may be anywhere need ima.match: anywhere';
  if (!isKnownPath)
    return `when it belongs there, import its package or SBOM ${IMPORT}; when not, find out who put it there`;
  const known = packages.length > 0 ? list(packages) : 'the file that the policy knows';
  return `after an update, import the new package or SBOM ${IMPORT}; else install ${known} again, and find out who changed it`;
}

/** The package of exactly this file, from any set. */
function originOf({ path, algorithm, digest, known }: RefusedFile): string | undefined {
  for (const set of known) {
    const same = filesAt(set, path).find(
      (one) => one.algorithm === algorithm && equalBytes(one.digest, digest),
    );
    if (same?.package) return nameOf(same.package);
  }
  return undefined;
}

/** A kernel is known as an image too, which says nothing of its bytes. */
function filesAt(set: DigestSet, path: Uint8Array): readonly KnownFile[] {
  return set.filesAt(path).filter(({ algorithm }) => isFileDigestName(algorithm));
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
