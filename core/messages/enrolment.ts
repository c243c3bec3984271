import { createHash, createHmac } from 'node:crypto';
import Type, { type Static } from 'typebox';
import { Alias, base64, Finding, NodeId, NodeState } from './common.ts';

/**
 * Enrolment of Assay's own agent: POST /v1/enrolments, then POST /v1/enrolments/:id/activation.
 * Keylime's routes (core/messages/keylime) lead to the same decision.
 */
export const EnrolmentRequest = Type.Object(
  {
    alias: Alias,
    ekPublic: base64(2048, 'TPM2B_PUBLIC of the EK'),
    ekCertificates: Type.Array(
      base64(16384, 'DER; the EK certificate first, then what the NV chain indices hold'),
      {
        maxItems: 16,
      },
    ),
    akPublic: base64(2048, 'TPM2B_PUBLIC of the AK'),
    tlsCertificate: base64(8192, "DER of the certificate the agent's server shows and its client uses"),
    contact: Type.Object(
      {
        host: Type.String({ minLength: 1, maxLength: 253 }),
        port: Type.Integer({ minimum: 1, maximum: 65535 }),
      },
      { additionalProperties: false },
    ),
    joinToken: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  },
  { title: 'EnrolmentRequest', additionalProperties: false },
);
export type EnrolmentRequest = Static<typeof EnrolmentRequest>;

export const EnrolmentChallenge = Type.Object(
  {
    id: Type.String(),
    nodeId: NodeId,
    credential: base64(4096, 'credential blob in the tpm2-tools file format'),
    expiresInSeconds: Type.Integer(),
  },
  { title: 'EnrolmentChallenge' },
);
export type EnrolmentChallenge = Static<typeof EnrolmentChallenge>;

export const ActivationRequest = Type.Object(
  { proof: base64(32, 'enrolmentProof(secret, request)') },
  { title: 'ActivationRequest', additionalProperties: false },
);
export type ActivationRequest = Static<typeof ActivationRequest>;

/** What a node may know of itself: GET /v1/nodes/self, and the answer to an activation. */
export const NodeSelf = Type.Object(
  {
    nodeId: NodeId,
    version: Type.Integer(),
    alias: Alias,
    state: NodeState,
    group: Type.Union([Type.String(), Type.Null()]),
    admission: Type.String({ description: 'Why the node is admitted, or what it waits for' }),
    notes: Type.Array(Finding),
  },
  { title: 'NodeSelf' },
);
export type NodeSelf = Static<typeof NodeSelf>;

/**
 * Proves that the TPM that opened the credential belongs to whoever sent exactly this request: the
 * HMAC covers the TLS certificate, the contact and the join token, so none of them can be swapped on
 * the way.
 */
export function enrolmentProof(secret: Uint8Array, request: EnrolmentRequest): Uint8Array {
  const transcript = createHash('sha256').update(canonicalEnrolment(request)).digest();
  return new Uint8Array(
    createHmac('sha256', secret).update('assay enrolment v1\0').update(transcript).digest(),
  );
}

// Every field in a fixed order as a JSON array: no two requests have one text.
function canonicalEnrolment(request: EnrolmentRequest): string {
  return JSON.stringify([
    request.alias,
    request.ekPublic,
    request.ekCertificates,
    request.akPublic,
    request.tlsCertificate,
    request.contact.host,
    request.contact.port,
    request.joinToken ?? null,
  ]);
}
