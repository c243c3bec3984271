import { hash } from 'node:crypto';
import { AssayError } from '../../core/errors.ts';
import { type Certificate, isSelfIssued, parseCertificate } from '../../core/x509/certificate.ts';
import { parsePemBundle } from '../../core/x509/pem.ts';

/** A certificate that EK certificates may lead to (root), or that may stand on the way (intermediate). */
export interface Anchor {
  readonly sha256: Uint8Array;
  readonly der: Uint8Array;
  /** RFC 4514, safe to show. */
  readonly subject: string;
  readonly kind: 'root' | 'intermediate';
}

/**
 * The certificates of a PEM text, for the trust store. What names itself as its issuer is a root.
 *
 * @throws {ParseError} for anything but certificates
 * @throws {AssayError} `invalid-request` for a certificate that can be no CA's
 */
export function anchorsOf(pem: string): Anchor[] {
  return parsePemBundle(pem).map((der) => anchorOf(parseAnchor(der)));
}

/** A certificate of the trust store: with the encoding faults that manufacturers are known for. */
export function parseAnchor(der: Uint8Array): Certificate {
  return parseCertificate(der, { mode: 'lenient' });
}

/** The last second of a certificate's validity. */
export function validUntil(der: Uint8Array): Date {
  return parseAnchor(der).notAfter;
}

function anchorOf(certificate: Certificate): Anchor {
  const { der, subject, basicConstraints } = certificate;
  if (basicConstraints && !basicConstraints.ca) {
    throw new AssayError(
      'invalid-request',
      `${subject.text} is no CA certificate, so no EK certificate can lead to it`,
    );
  }
  return {
    sha256: new Uint8Array(hash('sha256', der, 'buffer')),
    der,
    subject: subject.text,
    kind: isSelfIssued(certificate) ? 'root' : 'intermediate',
  };
}
