import type { Finding } from '../../core/finding.ts';
import type { PinnedPeer } from '../../platform/http/pinned-pool.ts';

/** Where to go on in a measurement list: behind an entry, which ends at a byte of the kernel's binary file. */
export interface ListPosition {
  readonly entries: number;
  readonly bytes: number;
}

/** Hex SHA-256 of logs that need not be sent again. */
export interface KnownLogs {
  readonly firmware?: string;
  readonly userspace?: string;
}

/** What is asked of a node. */
export interface EvidenceRequest {
  readonly nonce: string;
  /** PCRs of the policy, as the wire has them: bit n asks for PCR n. */
  readonly mask: string;
  /** Keylime's routes are those that every agent has. */
  readonly protocol: 'assay' | 'keylime';
  readonly apiVersion: string;
  /** Also asks for the key that the quote binds, where that is not the TLS key. */
  readonly reportKey: boolean;
  /** Also asks for its boot logs, unless they are these; absent: not asked for. */
  readonly boot?: KnownLogs;
  /** Also asks for its measurement list, from here on; absent: not asked for. */
  readonly imaFrom?: ListPosition;
}

/** What came; nothing in it is checked. A finding means that nothing came that could be evidence. */
export type EvidenceAnswer =
  | {
      readonly came: true;
      readonly quote: string;
      readonly publicKey?: string;
      readonly firmware?: SentLog;
      readonly userspace?: SentLog;
      readonly ima?: MeasurementList;
    }
  | { readonly came: false; readonly finding: Finding };

/** The log, or that it is the one that was named. */
export type SentLog = Uint8Array | 'same';

/** A part of a measurement list: as the kernel hashed it, or as text in the kernel's form. */
export type MeasurementList = {
  /** Number of its first entry. */
  readonly firstEntry: number;
} & ({ readonly bytes: Uint8Array; readonly offset: number } | { readonly text: string });

/** A way to get evidence from a node. Whichever way it comes, it is appraised the same. */
export interface EvidenceSource {
  ask(peer: PinnedPeer, request: EvidenceRequest): Promise<EvidenceAnswer>;
  /** The node is no longer polled: nothing need be kept open. */
  forget(peerId: string): void;
}

/** Asks each node in its own way. */
export function evidenceSource(
  ways: Readonly<Record<EvidenceRequest['protocol'], EvidenceSource>>,
): EvidenceSource {
  return {
    ask: (peer, request) => ways[request.protocol].ask(peer, request),
    forget(peerId) {
      for (const way of Object.values(ways)) way.forget(peerId);
    },
  };
}
