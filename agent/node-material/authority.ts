/** The node's own CA: a certificate from the issuer, and a key that is in the TPM or in memory. */
export interface NodeAuthority {
  readonly nodeId: string;
  readonly nodesDomain: string;
  readonly keyMode: 'tpm' | 'delivered';
  /** Lower-case hex. */
  readonly serial: string;
  /** DER of the node CA certificate. */
  readonly certificate: Uint8Array;
  /** DER of the issuing CA. */
  readonly issuingCa: Uint8Array;
  readonly subject: string;
  readonly issuer: string;
  readonly notAfter: Date;
  /** Signs the SHA-256 digest of `data`: DER Ecdsa-Sig-Value. */
  sign(data: Uint8Array): Promise<Uint8Array>;
  /** Forgets the key where it is only in memory. */
  discard(): void;
}

/** A leaf with its key, and the certificates that lead to the issuing CA. */
export interface NodeMaterial {
  /** One PEM text: leaf, node intermediate, issuing CA when configured, private key. */
  readonly pem: string;
  readonly subject: string;
  readonly issuer: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}
