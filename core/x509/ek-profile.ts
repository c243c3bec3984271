import { printable } from '../bytes/encoding.ts';
import { ParseError } from '../errors.ts';
import type { Finding } from '../finding.ts';
import { rsaWeakness } from '../tpm/weak-key.ts';
import { type Certificate, EXTENSION } from './certificate.ts';
import type { EncodingFault } from './der.ts';
import { ATTRIBUTE, onlyAttribute } from './name.ts';
import { buildPath, type MissingIssuer } from './path.ts';
import { weakSigningKey } from './signature.ts';

/** tcg-kp-EKCertificate (TCG EK Credential Profile 2.5, 3.2.16). */
export const EK_CERTIFICATE_USAGE = '2.23.133.8.1';

/** What the manufacturer says the TPM is: text of its choosing, escaped. */
export interface TpmIdentity {
  /** `id:` and the vendor id in hex (TCG Vendor ID Registry). */
  readonly manufacturer: string;
  readonly model: string;
  readonly version: string;
}

/** Known ways in which manufacturers depart from the profile, that give nobody anything: each is tolerated and named. */
export type ProfileFault =
  | 'no-key-usage' // keyUsage is left out, as the profile of TPM 1.2 allowed
  | 'key-usage-of-rsa'; // an ECC key that says keyEncipherment, in place of keyAgreement

export interface EkCertificateRequest {
  /** Parsed in lenient mode. */
  readonly certificate: Certificate;
  /** What the node sent beside it and what the store knows: not trusted. */
  readonly chain: readonly Certificate[];
  readonly anchors: readonly Certificate[];
  /** DER of the EK that the node will have to prove it holds, as node:crypto exports it. */
  readonly ekSpki: Uint8Array;
  readonly at: Date;
}

export interface EkCertificateAppraisal {
  readonly ok: boolean;
  /** From the EK certificate to the anchor; empty when there is none. */
  readonly path: readonly Certificate[];
  /** Why it is not ok, by the rules `ek.chain`, `ek.same`, `ek.profile` and `ek.weak`. */
  readonly findings: readonly Finding[];
  /** Faults that were tolerated, in the certificate or above it. */
  readonly faults: readonly (EncodingFault | ProfileFault)[];
  /** `undefined` unless the certificate says all three. */
  readonly tpm: TpmIdentity | undefined;
  /** What to fetch and add when the chain is incomplete. */
  readonly missingIssuer?: MissingIssuer;
}

/**
 * Judges an EK certificate (TCG EK Credential Profile 2.5, 3.2): a manufacturer vouches that this very key is in one of
 * its TPMs. Does not show that the node has that TPM (credential activation does), and knows no revocation.
 */
export function appraiseEkCertificate(request: EkCertificateRequest): EkCertificateAppraisal {
  const { certificate, chain, anchors, at } = request;
  const result = buildPath({ leaf: certificate, intermediates: chain, anchors, at });
  const path = result.ok ? result.path : [];
  const tpm = tpmIdentityOf(certificate);
  const findings = [
    ...(result.ok ? [] : result.findings.map(({ message }) => ({ rule: 'ek.chain', message }))),
    ...checkKey(certificate, request.ekSpki),
    ...checkProfile(certificate, tpm).map((message) => ({ rule: 'ek.profile', message })),
  ];
  const faults = [
    ...new Set([certificate, ...path].flatMap((one) => one.faults)),
    ...profileFaults(certificate),
  ];
  const appraisal = { ok: findings.length === 0, path, findings, faults, tpm };
  return result.ok || !result.missingIssuer
    ? appraisal
    : { ...appraisal, missingIssuer: result.missingIssuer };
}

/** Findings of `ek.same` and `ek.weak`. */
function checkKey(certificate: Certificate, ekSpki: Uint8Array): readonly Finding[] {
  const key = importKey(certificate);
  if (!key) {
    return [
      { rule: 'ek.weak', message: 'the key in the EK certificate is no key, such as a point off its curve' },
    ];
  }
  const findings: Finding[] = [];
  const spki = key.export({ type: 'spki', format: 'der' });
  if (Buffer.compare(spki, ekSpki) !== 0) {
    const message = 'the EK certificate is for another key than the EK of this node';
    findings.push({ rule: 'ek.same', message });
  }
  const weakness = weaknessOf(certificate);
  if (weakness !== undefined) {
    findings.push({ rule: 'ek.weak', message: `the key in the EK certificate is ${weakness}` });
  }
  return findings;
}

function importKey(certificate: Certificate) {
  try {
    return certificate.publicKey;
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}

function weaknessOf(certificate: Certificate): string | undefined {
  const { publicKey } = certificate;
  const type = publicKey.asymmetricKeyType;
  if (type === 'ec') return weakSigningKey(certificate);
  if (type !== 'rsa') return `of the kind ${type ?? 'unknown'}, an EK is RSA or ECC`;
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
  return rsaWeakness(bits, Buffer.from(publicKey.export({ format: 'jwk' }).n ?? '', 'base64url'));
}

function checkProfile(certificate: Certificate, tpm: TpmIdentity | undefined): readonly string[] {
  const problems: string[] = [];
  if (!certificate.extKeyUsage?.includes(EK_CERTIFICATE_USAGE)) {
    problems.push(
      `the certificate has not the extended key usage ${EK_CERTIFICATE_USAGE} of EK certificates`,
    );
  }
  if (certificate.basicConstraints?.ca) problems.push('the EK certificate is one of a CA');
  const usage = usageOf(certificate);
  const isTolerated = profileFaults(certificate).length > 0;
  if (!certificate.keyUsage?.has(usage) && !isTolerated)
    problems.push(`the EK certificate has not the key usage ${usage}`);
  if (certificate.keyUsage?.has('keyCertSign'))
    problems.push('the EK certificate has the key usage keyCertSign');
  if (!tpm) {
    problems.push(
      'the EK certificate does not say manufacturer, model and version of the TPM in subjectAltName',
    );
  }
  // Nothing else would name the subject to who skips extensions that it does not know (RFC 5280, 4.1.2.6).
  if (certificate.subject.rdns.length === 0 && !isCritical(certificate, EXTENSION.SUBJECT_ALT_NAME)) {
    problems.push('the EK certificate has neither a subject nor a critical subjectAltName');
  }
  return problems;
}

/** EK Credential Profile 2.5, 3.2.13. */
function usageOf(certificate: Certificate): 'keyEncipherment' | 'keyAgreement' {
  return isRsa(certificate) ? 'keyEncipherment' : 'keyAgreement';
}

function profileFaults(certificate: Certificate): ProfileFault[] {
  const { keyUsage } = certificate;
  if (keyUsage === undefined) return ['no-key-usage'];
  const isOfRsa = !keyUsage.has(usageOf(certificate)) && keyUsage.has('keyEncipherment');
  return isOfRsa ? ['key-usage-of-rsa'] : [];
}

function isRsa(certificate: Certificate): boolean {
  return importKey(certificate)?.asymmetricKeyType === 'rsa';
}

function isCritical({ extensions }: Certificate, oid: string): boolean {
  return extensions.some((extension) => extension.oid === oid && extension.critical);
}

/** TPM Specification of the subjectAltName (EK Credential Profile 2.5, 3.2.9), each attribute exactly once. */
function tpmIdentityOf({ subjectAltName = [] }: Certificate): TpmIdentity | undefined {
  const rdns = subjectAltName.flatMap((name) => (name.type === 'directoryName' ? name.name.rdns : []));
  const manufacturer = onlyAttribute(rdns, ATTRIBUTE.TPM_MANUFACTURER);
  const model = onlyAttribute(rdns, ATTRIBUTE.TPM_MODEL);
  const version = onlyAttribute(rdns, ATTRIBUTE.TPM_VERSION);
  if (manufacturer === undefined || model === undefined || version === undefined) return undefined;
  return { manufacturer: printable(manufacturer), model: printable(model), version: printable(version) };
}
