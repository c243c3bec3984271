/** What a node CA certificate shall say; everything else follows from the profile. */
export interface NodeCaRequest {
  readonly serial: Uint8Array;
  readonly nodeId: string;
  /** DER of the node CA key's SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** Of an OCSP responder's certificate (RFC 6960, 4.2.2.2). */
export interface ResponderRequest {
  /** DER of its key's SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export type RevocationReason = 'keyCompromise' | 'privilegeWithdrawn' | 'cessationOfOperation';

export interface CrlRequest {
  readonly number: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly revoked: readonly {
    readonly serial: Uint8Array;
    readonly revokedAt: Date;
    readonly reason: RevocationReason;
  }[];
}

/**
 * An issuing CA whose key we may use and never see: a file today, a token or a key service behind the same port.
 * What comes back is checked before it leaves the issuer.
 */
export interface Signer {
  /** DER of the issuing CA's certificate. */
  readonly certificate: Uint8Array;
  readonly notAfter: Date;
  /** SHA-256 of `certificate`: names the CA in the database. */
  readonly sha256: Uint8Array;
  /** DER of the certificate. */
  signNodeCa(request: NodeCaRequest): Promise<Uint8Array>;
  /** DER of the CRL. */
  signCrl(request: CrlRequest): Promise<Uint8Array>;
  /** DER of the certificate of one who answers for this CA. */
  signResponder(request: ResponderRequest): Promise<Uint8Array>;
}
