import { hash } from 'node:crypto';
import { AssayError, type ErrorDetail } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import { nodeIdOf } from '../../core/identity.ts';
import { checkAttestationKey } from '../../core/tpm/attestation-key.ts';
import { checkEndorsementKey } from '../../core/tpm/endorsement-key.ts';
import { spkiOf } from '../../core/tpm/key.ts';
import { computeName } from '../../core/tpm/name.ts';
import { parseTpm2bPublic } from '../../core/tpm/public.ts';
import type { Candidate } from './candidate.ts';
import type { EkCertificateJudgement } from './ek-certificate.ts';
import { checkContact, checkTlsCertificate } from './endpoint.ts';

/** Who a node says it is, in either protocol. Every byte is its own word. */
export interface IdentityClaim {
  readonly alias: string;
  /** TPM2B_PUBLIC. */
  readonly ekPublic: Uint8Array;
  /** DER; the EK certificate first, then whatever may lead to its issuer. */
  readonly ekCertificates: readonly Uint8Array[];
  /** TPM2B_PUBLIC. */
  readonly akPublic: Uint8Array;
  /** DER. */
  readonly tlsCertificate: Uint8Array | null;
  readonly contact: { readonly host: string; readonly port: number };
  readonly apiVersion: string;
  readonly tokenSha256: Uint8Array | null;
}

/** Judges an EK certificate against the trust store. */
export type JudgeEkCertificate = (
  certificates: readonly [Uint8Array, ...Uint8Array[]],
  ekSpki: Uint8Array,
) => EkCertificateJudgement;

// The policy of an EK cannot be verified from outside, and activation proves the binding whatever it is.
const TOLERATED = new Set(['ek.policy']);

/**
 * Checks everything about a claimed identity that needs no answer of the TPM: EK, EK certificate, AK, TLS certificate
 * and contact. An EK certificate that leads to no trusted root is refused, not left for a person to wave through; no
 * EK certificate at all is not (the inventory or a person must then admit it).
 *
 * @throws {ParseError} for bytes that are not what they should be
 * @throws {AssayError} `identity-refused` with every finding, `invalid-request` for a contact that cannot be one
 */
export function examineIdentity(claim: IdentityClaim, judge: JudgeEkCertificate): Candidate {
  const ek = parseTpm2bPublic(claim.ekPublic);
  const ak = parseTpm2bPublic(claim.akPublic);
  const spki = spkiOf(ek);
  const findings = [...checkEndorsementKey(ek), ...checkAttestationKey(ak)];
  const [first, ...chain] = claim.ekCertificates;
  const certificate = first === undefined ? null : judge([first, ...chain], spki);
  refuse([...findings.filter(isRefusal), ...(certificate?.refusals ?? [])]);
  checkContact(claim.contact);
  if (claim.tlsCertificate) checkTlsCertificate(claim.tlsCertificate);
  return {
    nodeId: nodeIdOf(spki),
    alias: claim.alias,
    ekSpkiSha256: new Uint8Array(hash('sha256', spki, 'buffer')),
    ekPublic: claim.ekPublic,
    ekCertificate: certificate?.certificate ?? null,
    ekCertificateName: certificate?.name ?? null,
    ekPath: certificate?.path ?? [],
    notes: [...findings, ...(certificate?.notes ?? [])],
    tpm: certificate?.tpm ?? {},
    akPublic: claim.akPublic,
    akName: computeName(ak),
    tlsCertificate: claim.tlsCertificate,
    contact: claim.contact,
    apiVersion: claim.apiVersion,
    tokenSha256: claim.tokenSha256,
  };
}

function isRefusal({ rule }: Finding): boolean {
  return !TOLERATED.has(rule);
}

function refuse(details: readonly ErrorDetail[]): void {
  const [first] = details;
  if (!first) return;
  const more = details.length === 1 ? '' : ` (and ${details.length - 1} more)`;
  throw new AssayError('identity-refused', `this identity is refused: ${first.message}${more}`, { details });
}
