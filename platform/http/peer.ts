/** Where a node's agent answers and which certificate it must show: registrar's record, nobody else's word. */
export interface PinnedPeer {
  /** Connections are kept by this: the node's id. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** SHA-256 of the certificate's DER. */
  readonly tlsSha256: Uint8Array;
}

/** Why a peer could not be asked: none of these is evidence about the node. */
export type PeerErrorReason = 'dial-refused' | 'unreachable' | 'pin-mismatch' | 'timeout' | 'too-large';

export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly reason: PeerErrorReason;
  constructor(reason: PeerErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}
