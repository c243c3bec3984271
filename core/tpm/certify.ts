import { equalBytes, toHex } from '../bytes/encoding.ts';
import type { Finding } from '../finding.ts';
import { checkAttestation, type SignedAttestation } from './attestation.ts';
import { computeName } from './name.ts';
import type { TpmtPublic } from './public.ts';
import { weaknessOf } from './weak-key.ts';

export interface CertifyInput extends SignedAttestation {
  /** Public area of the key that is certified, as the node sent it. */
  readonly objectPublic: TpmtPublic;
  /** The rule for that key's attributes; that of a node's CA key unless said otherwise. */
  readonly checkObject?: (publicArea: TpmtPublic) => readonly Finding[];
}

const CERTIFIED: unique symbol = Symbol('CertifiedKey');

/** A key of which the AK's TPM said that it holds it; only appraiseCertify makes one. */
export interface CertifiedKey {
  readonly [CERTIFIED]: true;
  readonly publicArea: TpmtPublic;
  readonly name: Uint8Array;
}

export type CertifyAppraisal =
  | { readonly ok: true; readonly certified: CertifiedKey }
  | { readonly ok: false; readonly findings: readonly Finding[] };

const REQUIRED = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'sign'] as const;
const FORBIDDEN = ['restricted', 'decrypt'] as const;

/**
 * Decides whether an attestation of TPM2_Certify (Part 3, 18.2) is the AK's, fresh, and about the key
 * that came with it, and whether that key is protected as its use needs. Lists every failed check.
 *
 * @throws {RangeError} when the caller passes an empty nonce
 */
export function appraiseCertify(input: CertifyInput): CertifyAppraisal {
  const { objectPublic, checkObject = checkNodeCaKey } = input;
  const { findings, attest } = checkAttestation('certify', input);
  findings.push(...checkObject(objectPublic));
  const name = computeName(objectPublic);
  if (attest?.attested.type === 'certify' && !equalBytes(attest.attested.name, name)) {
    const message = `the certified Name is ${toHex(attest.attested.name)}, that of the key is ${toHex(name)}`;
    findings.push({ rule: 'certify.name', message });
  }
  if (findings.length > 0) return { ok: false, findings };
  return { ok: true, certified: { [CERTIFIED]: true, publicArea: objectPublic, name } };
}

/** Rule `issue.tpm`: what a node's CA key must be so that only its TPM can sign with it, and anything. */
export function checkNodeCaKey(publicArea: TpmtPublic): readonly Finding[] {
  const { objectAttributes, nameAlg } = publicArea;
  const problems = [
    ...REQUIRED.filter((name) => !objectAttributes[name]).map((name) => `${name} is CLEAR`),
    ...FORBIDDEN.filter((name) => objectAttributes[name]).map((name) => `${name} is SET`),
  ];
  if (nameAlg === 'sha1') problems.push('its Name is made with SHA-1');
  const weakness = weaknessOf(publicArea);
  if (weakness !== undefined) problems.push(`it is ${weakness}`);
  if (problems.length === 0) return [];
  return [{ rule: 'issue.tpm', message: `not a key for a node's CA: ${problems.join(', ')}` }];
}
