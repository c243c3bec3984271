import { type Forged, type Forgery, forgeCa, forgeLeaf, NOON } from './forge.ts';

export interface Chain {
  readonly leaf: Forged;
  readonly intermediates: readonly Forged[];
  readonly anchors: readonly Forged[];
  readonly at: Date;
}

/** Whether a verifier accepts; some never end. */
export type Verdict = boolean | 'no answer';

/** Another verifier that says otherwise, and why that is no fault of ours. */
export interface Disagreement {
  readonly accepts: Verdict;
  readonly why: string;
}

export interface ChainCase {
  readonly name: string;
  readonly build: () => Chain;
  /** The only rule that refuses it; `null` when the chain is good. */
  readonly rule: string | null;
  readonly openssl?: Disagreement;
  readonly pkijs?: Disagreement;
}

type Part = Partial<Forgery> & { readonly pathLen?: number };

/** root → issuing → ca → leaf, each as it should be where nothing else is asked for. */
export function chainOf(parts: {
  readonly root?: Part;
  readonly issuing?: Part;
  readonly ca?: Part;
  readonly leaf?: Part;
  readonly at?: Date;
}): Chain {
  const root = forgeCa({ subject: 'root', pathLen: 2, ...parts.root });
  const issuing = forgeCa({ subject: 'issuing', issuer: root, pathLen: 1, ...parts.issuing });
  const ca = forgeCa({ subject: 'ca', issuer: issuing, pathLen: 0, ...parts.ca });
  const leaf = forgeLeaf({ issuer: ca, ...parts.leaf });
  return { leaf, intermediates: [ca, issuing], anchors: [root], at: parts.at ?? NOON };
}
