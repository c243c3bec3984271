import type { ImaKey } from '../core/ima/key.ts';
import type { DigestSet } from './digests/digest-set.ts';
import type { PathGlob } from './path-glob.ts';

/** A key whose signatures count, and for which files (rule `ima.keys`). */
export interface ImaKeyRule {
  /** Stable within the policy. */
  readonly id: string;
  readonly key: ImaKey;
  readonly paths: readonly PathGlob[];
}

/** A keyring of the kernel that a policy follows by what was measured of it (rule `ima.keys`). */
export interface KeyringRule {
  /** Keys that may come into it, by the SHA-256 of their certificate in hex. */
  readonly keys: 'any' | ReadonlySet<string>;
  /** Files that they may sign. */
  readonly paths: readonly PathGlob[];
}

/** What a policy says of the files that a node used, compiled. What nothing allows is forbidden. */
export interface ImaRules {
  /** Ids of the sets that say which bytes may be where. */
  readonly allow: readonly string[];
  /** Files that the document itself allows. */
  readonly files: DigestSet | undefined;
  /** True: bytes of a set may be at any path. */
  readonly anyPath: boolean;
  /** Not judged at all. */
  readonly exclude: readonly PathGlob[];
  /** Violations that are accepted; all others fail. */
  readonly acceptedViolations: readonly PathGlob[];
  readonly keys: readonly ImaKeyRule[];
  /** A second boot_aggregate may come: a kernel was started by kexec, without a boot. */
  readonly kexec: boolean;
  /** Measured buffers by name, such as `kexec-cmdline`: the digests they may have, in hex, or any. Others fail. */
  readonly buffers: ReadonlyMap<string, 'any' | ReadonlySet<string>>;
  /** Keyrings by name. Keys that come into others are buffers like any. */
  readonly keyrings: ReadonlyMap<string, KeyringRule>;
  /** Files that decide what is measured, by path: the digests that they may have, in hex (rule `ima.policy`). */
  readonly measuredPolicy: ReadonlyMap<string, ReadonlySet<string>>;
}

/** The same with the sets at hand. */
export interface ImaPolicy extends Omit<ImaRules, 'allow' | 'files'> {
  readonly allow: readonly DigestSet[];
}

/** Joins rules with the sets that they name, which must be there. */
export function resolveIma(
  { allow, files, ...rules }: ImaRules,
  sets: ReadonlyMap<string, DigestSet>,
): ImaPolicy {
  const named = allow.flatMap((id) => sets.get(id) ?? []);
  return { ...rules, allow: files ? [files, ...named] : named };
}
