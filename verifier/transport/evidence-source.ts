import type { Finding } from '../../core/finding.ts';
import type { PinnedPeer } from '../../platform/http/pinned-pool.ts';

/** What is asked of a node. */
export interface EvidenceRequest {
  readonly nonce: string;
  /** PCRs of the policy, as the wire has them: bit n asks for PCR n. */
  readonly mask: string;
  readonly apiVersion: string;
  /** Also asks for the key that the quote binds, where that is not the TLS key. */
  readonly reportKey: boolean;
  /** Also asks for its measurement list, from this entry on; absent: not asked for. */
  readonly imaFrom?: number;
}

/** What came; nothing in it is checked. A finding means that nothing came that could be evidence. */
export type EvidenceAnswer =
  | {
      readonly came: true;
      readonly quote: string;
      readonly publicKey?: string;
      readonly ima?: MeasurementList;
    }
  | { readonly came: false; readonly finding: Finding };

/** A part of a measurement list, as text in the kernel's form. */
export interface MeasurementList {
  readonly text: string;
  /** Number of its first entry. */
  readonly firstEntry: number;
}

/** A way to get evidence from a node. Whichever way it comes, it is appraised the same. */
export interface EvidenceSource {
  ask(peer: PinnedPeer, request: EvidenceRequest): Promise<EvidenceAnswer>;
  /** The node is no longer polled: nothing need be kept open. */
  forget(peerId: string): void;
}
