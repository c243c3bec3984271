import type { QuoteSource } from './keylime/quotes.ts';
import type { AkAlgorithm } from './tpm/attestation-key.ts';

/** The TPM of this node, as far as enrolment and the node CA need it. */
export interface NodeTpm extends QuoteSource {
  readonly ek: {
    /** TPM2B_PUBLIC. */
    readonly public: Uint8Array;
    /** SHA-256 of its SubjectPublicKeyInfo, hex: what an inventory lists. */
    readonly sha256: string;
    /** What the registrar must call this node. */
    readonly nodeId: string;
    readonly template: string;
    /** DER; the EK certificate first, then the manufacturer's chain. Empty when the TPM has none. */
    readonly certificates: readonly Uint8Array[];
  };
  readonly ak: {
    /** TPM2B_PUBLIC. */
    readonly public: Uint8Array;
    readonly algorithm: AkAlgorithm;
    /** False when it was loaded from an earlier run. */
    readonly created: boolean;
  };
  /** Opens a credential blob that was made for this EK and AK. */
  activate(credential: Uint8Array): Promise<Uint8Array>;
  /** The node CA key, made where there is none yet. */
  nodeCaKey(): Promise<NodeCaSigner>;
  /** Forgets the node CA key: its blobs are the only way to it. */
  destroyNodeCaKey(): Promise<void>;
  close(): Promise<void>;
}

/** The signing key of the node's own CA, in the TPM. */
export interface NodeCaSigner {
  /** TPM2B_PUBLIC. */
  readonly public: Uint8Array;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** TPM2_Certify by the AK over the nonce. */
  certify(nonce: Uint8Array): Promise<{ readonly attest: Uint8Array; readonly signature: Uint8Array }>;
  /** ECDSA over a SHA-256 digest: DER Ecdsa-Sig-Value. */
  signDigest(digest: Uint8Array): Promise<Uint8Array>;
}
