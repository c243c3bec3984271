import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { fromBase64, fromHex, toBase64, toHex } from '../../core/bytes/encoding.ts';
import type { Finding as CoreFinding } from '../../core/finding.ts';
import { Finding } from '../../core/messages/common.ts';

/** The issuer and serial number of an EK certificate, as the inventory names it. */
export interface CertificateName {
  /** Lower-case hex without leading zeros. */
  readonly serial: string;
  /** canonicalIssuer of the issuer's name. */
  readonly issuer: string;
}

/** What becomes a node's record when its challenge is answered. Everything here has been checked. */
export interface Candidate {
  readonly nodeId: string;
  readonly alias: string;
  readonly ekSpkiSha256: Uint8Array;
  /** TPM2B_PUBLIC. */
  readonly ekPublic: Uint8Array;
  /** DER; absent when the TPM has none. */
  readonly ekCertificate: Uint8Array | null;
  readonly ekCertificateName: CertificateName | null;
  /** DER, from the EK certificate to the trust anchor. */
  readonly ekPath: readonly Uint8Array[];
  /** What was found and tolerated, for people to see. */
  readonly notes: readonly CoreFinding[];
  readonly tpm: { readonly manufacturer?: string; readonly model?: string; readonly version?: string };
  /** TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array;
  readonly akName: Uint8Array;
  /** DER; absent for Keylime agents without TLS. */
  readonly tlsCertificate: Uint8Array | null;
  readonly contact: { readonly host: string; readonly port: number };
  /** Version of Keylime's agent API that the agent serves. */
  readonly apiVersion: string;
  /** SHA-256 of the join token's 32 bytes; the token itself is not kept. */
  readonly tokenSha256: Uint8Array | null;
}

const Nullable = <T extends Type.TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

// The same in JSON: hashes and names in hex, other bytes in base64.
const StoredCandidate = Type.Object({
  nodeId: Type.String(),
  alias: Type.String(),
  ekSpkiSha256: Type.String(),
  ekPublic: Type.String(),
  ekCertificate: Nullable(Type.String()),
  ekCertificateName: Nullable(Type.Object({ serial: Type.String(), issuer: Type.String() })),
  ekPath: Type.Array(Type.String()),
  notes: Type.Array(Finding),
  tpm: Type.Object({
    manufacturer: Type.Optional(Type.String()),
    model: Type.Optional(Type.String()),
    version: Type.Optional(Type.String()),
  }),
  akPublic: Type.String(),
  akName: Type.String(),
  tlsCertificate: Nullable(Type.String()),
  contact: Type.Object({ host: Type.String(), port: Type.Integer() }),
  apiVersion: Type.String(),
  tokenSha256: Nullable(Type.String()),
});
type StoredCandidate = Static<typeof StoredCandidate>;

/** A candidate as it is kept beside its challenge. */
export function storeCandidate(candidate: Candidate): StoredCandidate {
  return {
    ...candidate,
    ekSpkiSha256: toHex(candidate.ekSpkiSha256),
    ekPublic: toBase64(candidate.ekPublic),
    ekCertificate: candidate.ekCertificate && toBase64(candidate.ekCertificate),
    ekPath: candidate.ekPath.map(toBase64),
    notes: candidate.notes.map((note) => ({ ...note })),
    akPublic: toBase64(candidate.akPublic),
    akName: toHex(candidate.akName),
    tlsCertificate: candidate.tlsCertificate && toBase64(candidate.tlsCertificate),
    tokenSha256: candidate.tokenSha256 && toHex(candidate.tokenSha256),
  };
}

/** @throws {TypeError} for anything that storeCandidate did not write */
export function restoreCandidate(stored: unknown): Candidate {
  if (!Value.Check(StoredCandidate, stored)) throw new TypeError('this is not a stored candidate');
  return {
    ...stored,
    ekSpkiSha256: fromHex(stored.ekSpkiSha256, 'ekSpkiSha256'),
    ekPublic: fromBase64(stored.ekPublic, 'ekPublic'),
    ekCertificate: optional(stored.ekCertificate, 'ekCertificate'),
    ekPath: stored.ekPath.map((der) => fromBase64(der, 'ekPath')),
    akPublic: fromBase64(stored.akPublic, 'akPublic'),
    akName: fromHex(stored.akName, 'akName'),
    tlsCertificate: optional(stored.tlsCertificate, 'tlsCertificate'),
    tokenSha256: stored.tokenSha256 === null ? null : fromHex(stored.tokenSha256, 'tokenSha256'),
  };
}

function optional(text: string | null, field: string): Uint8Array | null {
  return text === null ? null : fromBase64(text, field);
}
