import type { KeyObject } from 'node:crypto';
import { equalBytes, toHex } from '../bytes/encoding.ts';
import { ParseError } from '../errors.ts';
import type { Finding } from '../finding.ts';
import { parseTpmsAttest, type TpmsAttest } from './attest.ts';
import { checkAkAttributes } from './attestation-key.ts';
import { publicKeyOf } from './key.ts';
import type { TpmtPublic } from './public.ts';
import { parseTpmtSignature, signerMismatch, type TpmtSignature, verifyTpmSignature } from './signature.ts';

/** A statement of a TPM as it comes over the wire, and who should have made it. */
export interface SignedAttestation {
  /** The registered AK; that it is in a TPM was shown at enrolment. */
  readonly akPublic: TpmtPublic;
  /** The key of `akPublic`, when the caller keeps it imported. */
  readonly akKey?: KeyObject;
  /** The AK's Qualified Name, when its place in the hierarchy is known. */
  readonly akQualifiedName?: Uint8Array;
  /** TPMS_ATTEST, without a size. Kept unchanged by the caller. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** What `extraData` must be. */
  readonly nonce: Uint8Array;
}

export interface CheckedAttestation {
  /** Every check that failed. While there is one, nothing in `attest` is to be believed. */
  readonly findings: Finding[];
  readonly attest: TpmsAttest | undefined;
  readonly signature: TpmtSignature | undefined;
}

/**
 * The checks that all kinds of attestation share: genuine kind, AK, signature and nonce. The rules are
 * named after `kind`, such as `quote.nonce`.
 *
 * @throws {RangeError} for an empty nonce, which would accept any attestation without one
 */
export function checkAttestation(kind: 'quote' | 'certify', input: SignedAttestation): CheckedAttestation {
  if (input.nonce.length === 0) throw new RangeError('an attestation needs a nonce');
  const findings: Finding[] = [];
  const attest = collect(findings, kind, () => parseTpmsAttest(input.attest));
  if (attest && attest.attested.type !== kind) {
    findings.push({
      rule: `${kind}.magic`,
      message: `is a ${attest.attested.type} attestation, ${kind} expected`,
    });
  }
  findings.push(...checkAkAttributes(input.akPublic));
  const signature = collect(findings, kind, () => parseTpmtSignature(input.signature));
  if (signature) checkSignature(findings, kind, input, signature);
  if (attest) checkBinding(findings, kind, input, attest);
  return { findings, attest, signature };
}

function checkSignature(
  findings: Finding[],
  kind: string,
  { akPublic, akKey, attest }: SignedAttestation,
  signature: TpmtSignature,
): void {
  const mismatch = signerMismatch(akPublic, signature);
  if (mismatch !== undefined) findings.push({ rule: `${kind}.signer`, message: mismatch });
  // Whether a SHA-1 signature would verify is of no interest.
  if (signature.hash === 'sha1') return;
  if (!verifyTpmSignature(akKey ?? publicKeyOf(akPublic), attest, signature)) {
    findings.push({ rule: `${kind}.signature`, message: "the signature is not the registered AK's" });
  }
}

function checkBinding(
  findings: Finding[],
  kind: string,
  { nonce, akQualifiedName }: SignedAttestation,
  { extraData, qualifiedSigner }: TpmsAttest,
): void {
  if (!equalBytes(extraData, nonce)) {
    const message = `extraData is ${toHex(extraData) || 'empty'}, the nonce was ${toHex(nonce)}`;
    findings.push({ rule: `${kind}.nonce`, message });
  }
  if (akQualifiedName && !equalBytes(qualifiedSigner, akQualifiedName)) {
    const message = `qualifiedSigner is ${toHex(qualifiedSigner)}, that of the AK is ${toHex(akQualifiedName)}`;
    findings.push({ rule: `${kind}.signer`, message });
  }
}

/** Runs a parser; what it refuses becomes a finding, under the rule that the bytes break. */
function collect<T>(findings: Finding[], kind: string, parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const isKind = error.field === 'TPMS_ATTEST.magic' || error.field === 'TPMS_ATTEST.type';
    findings.push({ rule: isKind ? `${kind}.magic` : error.rule, message: error.message });
    return undefined;
  }
}
