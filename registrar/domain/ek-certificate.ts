import type { ErrorDetail } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import type { NodeDetail } from '../../core/messages/node.ts';
import type { Certificate } from '../../core/x509/certificate.ts';
import { parseAnchor } from './anchor.ts';
import type { Candidate, CertificateName } from './candidate.ts';
import { canonicalIssuer, canonicalSerial } from './certificate-name.ts';

/** What the trust store says of an EK certificate. */
export interface EkCertificateJudgement {
  /** DER, without what a vendor padded it with. */
  readonly certificate: Uint8Array;
  readonly name: CertificateName | null;
  /** DER, from the EK certificate to the trust anchor; empty when there is no path. */
  readonly path: readonly Uint8Array[];
  /** Why the certificate cannot be accepted; empty when it is. */
  readonly refusals: readonly ErrorDetail[];
  /** What was tolerated. */
  readonly notes: readonly Finding[];
  readonly tpm: Candidate['tpm'];
}

/** Issuer and serial number as the inventory names them; `null` when the issuer has no name. */
export function nameOf({ serialHex, issuer }: Certificate): CertificateName | null {
  const [serial, name] = [canonicalSerial(serialHex), canonicalIssuer(issuer.text)];
  return serial === undefined || name === undefined ? null : { serial, issuer: name };
}

/** An accepted EK certificate, for people. */
export function describeEkCertificate(
  der: Uint8Array,
  path: readonly Uint8Array[],
): NonNullable<NodeDetail['ekCertificate']> {
  const certificate = parseAnchor(der);
  return {
    subject: certificate.subject.text,
    issuer: certificate.issuer.text,
    serial: certificate.serialHex,
    notAfter: certificate.notAfter.toISOString(),
    path: path.map((one) => parseAnchor(one).subject.text),
    faults: [...certificate.faults],
  };
}
