import { decodeLossless } from '../../core/bytes/encoding.ts';
import { type FileDigestName, isFileDigestName, type PackageRef } from '../digests/digest-entry.ts';
import type { DigestSet } from '../digests/digest-set.ts';
import type { ImaPolicy } from '../ima-policy.ts';

/** What a policy says of files by digest, with its sets. */
export type FileRules = Pick<ImaPolicy, 'allow' | 'anyPath' | 'exclude'>;

/** A package of which files become allowed or forbidden. */
export interface PackageChange {
  readonly kind: 'added' | 'removed' | 'changed';
  readonly name: string;
  readonly arch: string;
  /** Versions before; those of the files that become forbidden, when there are some. */
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** Paths of both. */
  readonly files: number;
  /** Paths with bytes that become allowed. */
  readonly allowed: number;
  readonly forbidden: number;
}

/** A file that no package is known of; `changed`: other bytes are allowed in place of those before. */
export interface FileChange {
  readonly kind: 'added' | 'removed' | 'changed';
  readonly path: string;
}

interface FileDigest {
  readonly path: Uint8Array;
  readonly algorithm: FileDigestName;
  readonly digest: Uint8Array;
}

/** Files of one package or of none that only one of two policies allows. */
interface Lone {
  readonly paths: Set<string>;
  readonly versions: Set<string>;
}

const NO_PACKAGE = '';

/** Files that only one of two policies allows, by digest or by exclusion. Signatures are not known here. */
export function diffFiles(before: FileRules, after: FileRules) {
  const forbidden = loneFiles(before, after);
  const allowed = loneFiles(after, before);
  const [known, knownAfter] = [versionsOf(before), versionsOf(after)];
  const keys = new Set([...forbidden.keys(), ...allowed.keys()]);
  const packages = [...keys]
    .filter((key) => key !== NO_PACKAGE)
    .sort()
    .map((key) =>
      packageChange(key, { lone: forbidden.get(key), known }, { lone: allowed.get(key), known: knownAfter }),
    );
  const files = fileChanges(forbidden.get(NO_PACKAGE)?.paths, allowed.get(NO_PACKAGE)?.paths);
  return { packages, files };
}

function loneFiles(rules: FileRules, other: FileRules): Map<string, Lone> {
  const found = new Map<string, Lone>();
  const shared = new Set(other.allow.map(({ id }) => id));
  for (const set of rules.allow) {
    if (shared.has(set.id)) continue;
    for (const entry of set.entries()) {
      const { algorithm, ...file } = entry;
      // Images are the business of the boot.
      if (!isFileDigestName(algorithm) || isAllowed(other, { algorithm, ...file })) continue;
      const key = entry.package ? keyOf(entry.package) : NO_PACKAGE;
      const lone = found.get(key) ?? { paths: new Set(), versions: new Set() };
      found.set(key, lone);
      lone.paths.add(decodeLossless(entry.path));
      if (entry.package) lone.versions.add(entry.package.version);
    }
  }
  return found;
}

function isAllowed({ allow, anyPath, exclude }: FileRules, { path, algorithm, digest }: FileDigest): boolean {
  const isKnown = (set: DigestSet) =>
    anyPath ? set.knows(algorithm, digest) : set.allows(path, algorithm, digest);
  return allow.some(isKnown) || exclude.some((glob) => glob.matches(path));
}

function versionsOf({ allow }: FileRules): ReadonlyMap<string, ReadonlySet<string>> {
  const versions = new Map<string, Set<string>>();
  for (const known of allow.flatMap(({ packages }) => packages)) {
    const key = keyOf(known);
    versions.set(key, (versions.get(key) ?? new Set()).add(known.version));
  }
  return versions;
}

interface PackageSide {
  readonly lone: Lone | undefined;
  readonly known: ReadonlyMap<string, ReadonlySet<string>>;
}

function packageChange(key: string, before: PackageSide, after: PackageSide): PackageChange {
  const [name = '', arch = ''] = key.split('\0');
  const versions = ({ lone, known }: PackageSide) => [...(lone?.versions ?? known.get(key) ?? [])].sort();
  const paths = (side: PackageSide) => side.lone?.paths ?? new Set<string>();
  const isNew = !before.known.has(key);
  const isGone = !after.known.has(key);
  return {
    kind: isNew ? 'added' : isGone ? 'removed' : 'changed',
    ...{ name, arch, from: versions(before), to: versions(after) },
    files: new Set([...paths(before), ...paths(after)]).size,
    allowed: paths(after).size,
    forbidden: paths(before).size,
  };
}

function fileChanges(
  forbidden: ReadonlySet<string> = new Set(),
  allowed: ReadonlySet<string> = new Set(),
): FileChange[] {
  return [...new Set([...forbidden, ...allowed])].sort().map((path): FileChange => {
    if (!forbidden.has(path)) return { kind: 'added', path };
    return { kind: allowed.has(path) ? 'changed' : 'removed', path };
  });
}

function keyOf({ name, arch }: PackageRef): string {
  return `${name}\0${arch}`;
}
