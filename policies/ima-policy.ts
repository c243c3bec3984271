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
