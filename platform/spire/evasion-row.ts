import type { X509popMaterial } from './attest.ts';
import type { EvasionNode } from './evasion-node.ts';

/**
 * What a node that holds its own CA may try, and what must come of it: `own`: it is accepted, under its own id and no
 * other, so that nothing is gained; `refused`.
 */
export interface EvasionRow {
  /** Stable. */
  readonly id: string;
  readonly attempt: string;
  readonly must: 'own' | 'refused';
  /** What SPIRE's server says, in a configuration as `assay spire snippet` prints it. */
  readonly says?: RegExp;
  /** What to change when it is otherwise. */
  readonly remedy: string;
  readonly make: (cast: EvasionCast) => Promise<X509popMaterial>;
}

/** Who takes part. */
export interface EvasionCast {
  /** The attacker. */
  readonly node: EvasionNode;
  /** Whom it would like to be. */
  readonly other: EvasionNode;
}

/** What to change. */
export const REMEDY = {
  template:
    'agent_path_template must be the one that `assay spire snippet` prints: the id comes from the issuer',
  profile:
    'certificates of nodes must be made by this issuer alone: see ca_bundle_path, it must hold nothing else',
  server: 'spire-server does not check certificates as it should: use a release, not a modified one',
  limit: 'max_intermediates = 2',
} as const;

export const NOT_TRUSTED = /certificate verification failed/;
