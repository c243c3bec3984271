import Type, { type Static } from 'typebox';
import { base64, Instant, NodeId } from './common.ts';

/** A node asks the issuer for its intermediate: POST /v1/nodes/self/challenge, then .../certificate. */
export const IssueChallenge = Type.Object(
  {
    nonce: base64(32, 'qualifyingData of TPM2_Certify; single use'),
    expiresInSeconds: Type.Integer(),
  },
  { title: 'IssueChallenge' },
);
export type IssueChallenge = Static<typeof IssueChallenge>;

/** `key: tpm`: the node CA key was made in the TPM and is certified there by the AK over our nonce. */
export const CertifiedKey = Type.Object(
  {
    mode: Type.Literal('tpm'),
    nonce: base64(32),
    publicArea: base64(2048, 'TPM2B_PUBLIC of the node CA key'),
    attest: base64(1024, 'TPMS_ATTEST of TPM2_Certify'),
    signature: base64(1024, 'TPMT_SIGNATURE by the AK'),
  },
  { title: 'CertifiedKey', additionalProperties: false },
);
export type CertifiedKey = Static<typeof CertifiedKey>;

/** `key: delivered`: the issuer makes the key and sends it so that only this TPM can open it. */
const DeliveredKey = Type.Object(
  { mode: Type.Literal('delivered'), nonce: base64(32) },
  { title: 'DeliveredKey', additionalProperties: false },
);

export const IssueRequest = Type.Union([CertifiedKey, DeliveredKey], { title: 'IssueRequest' });
export type IssueRequest = Static<typeof IssueRequest>;

export const IssuedCertificate = Type.Object(
  {
    nodeId: NodeId,
    serial: Type.String({ description: 'lower-case hex' }),
    certificate: base64(8192, 'DER of the node CA certificate'),
    chain: Type.Array(base64(8192), { description: 'DER of the issuing CA, then of the node root' }),
    notBefore: Instant,
    notAfter: Instant,
    trustDomain: Type.String(),
    nodesDomain: Type.String(),
    /** Present with mode `delivered`. */
    key: Type.Optional(
      Type.Object({
        credential: base64(4096, 'credential blob that wraps the AES-256 key for this EK and AK'),
        iv: base64(12),
        ciphertext: base64(4096, 'AES-256-GCM of the PKCS#8 key, additional data = the certificate DER'),
        tag: base64(16),
      }),
    ),
  },
  { title: 'IssuedCertificate' },
);
export type IssuedCertificate = Static<typeof IssuedCertificate>;
