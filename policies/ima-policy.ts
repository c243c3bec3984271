import type { ImaKey } from '../core/ima/key.ts';
import type { DigestSet } from './digests/digest-set.ts';
import type { PathGlob } from './path-glob.ts';

/** A key whose signatures count, and for which files (rule `ima.keys`). */
export interface ImaKeyRule {
  readonly id: string;
  readonly key: ImaKey;
  readonly paths: readonly PathGlob[];
}

/** What a policy says of the files that a node used, compiled. What nothing allows is forbidden. */
export interface ImaPolicy {
  /** Which bytes may be where. */
  readonly allow: readonly DigestSet[];
  /** True: bytes of a set may be at any path. */
  readonly anyPath: boolean;
  /** Not judged at all. */
  readonly exclude: readonly PathGlob[];
  /** Violations that are accepted; all others fail. */
  readonly acceptedViolations: readonly PathGlob[];
  readonly keys: readonly ImaKeyRule[];
  /** Measured buffers by name, such as `kexec-cmdline`: the digests they may have, in hex, or any. Others fail. */
  readonly buffers: ReadonlyMap<string, 'any' | ReadonlySet<string>>;
}
