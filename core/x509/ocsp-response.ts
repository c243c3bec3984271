import { hash } from 'node:crypto';
import type { Certificate } from './certificate.ts';
import { CRL_REASON, type CrlReason } from './crl.ts';
import { explicitTag, implicitTag, TAG } from './der.ts';
import { der, derBits, derGeneralizedTime, derList, derOid, derSequence } from './der-writer.ts';
import { type CertId, OCSP_EXTENSION } from './ocsp-request.ts';
import { keyBits } from './spki.ts';

/** OCSPResponseStatus (RFC 6960, 4.2.1) of an answer that holds nothing else, and so is not signed. */
export const OCSP_FAILURE = {
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  unauthorized: 6,
} as const;
export type OcspFailure = keyof typeof OCSP_FAILURE;

export type OcspStatus =
  | { readonly status: 'good' }
  | { readonly status: 'revoked'; readonly revokedAt: Date; readonly reason: CrlReason }
  /** Nothing was recorded under this serial number; or the issuer is none of ours. */
  | { readonly status: 'unknown' };

export interface OcspAnswer {
  readonly certId: Pick<CertId, 'der'>;
  readonly status: OcspStatus;
}

export interface OcspContent {
  readonly producedAt: Date;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly answers: readonly OcspAnswer[];
  readonly nonce: Uint8Array | undefined;
}

export interface OcspResponder {
  readonly certificate: Certificate;
  /** ECDSA with SHA-256, as DER. */
  readonly sign: (tbs: Uint8Array) => Promise<Uint8Array>;
}

const BASIC = '1.3.6.1.5.5.7.48.1.1';
const ECDSA_WITH_SHA256 = derSequence(derOid('1.2.840.10045.4.3.2'));
const SUCCESSFUL = der(TAG.ENUMERATED, Uint8Array.of(0));

/**
 * Writes a BasicOCSPResponse (RFC 6960, 4.2), signed by a delegated responder whose certificate is in it.
 *
 * @throws {RangeError} for times with fractions of seconds
 */
export async function writeOcspResponse(content: OcspContent, responder: OcspResponder): Promise<Uint8Array> {
  const tbs = writeResponseData(content, responder.certificate);
  const signature = derBits(await responder.sign(tbs));
  const certificates = der(explicitTag(0), derSequence(responder.certificate.der));
  const basic = derSequence(tbs, ECDSA_WITH_SHA256, signature, certificates);
  const bytes = derSequence(derOid(BASIC), der(TAG.OCTET_STRING, basic));
  return derSequence(SUCCESSFUL, der(explicitTag(0), bytes));
}

/** An answer that says only why there is none. */
export function writeOcspFailure(failure: OcspFailure): Uint8Array {
  return derSequence(der(TAG.ENUMERATED, Uint8Array.of(OCSP_FAILURE[failure])));
}

/** Whether a CertID names this CA as the issuer. */
export function isIssuedBy(
  { hash: name, issuerNameHash, issuerKeyHash }: CertId,
  issuer: Certificate,
): boolean {
  if (name === undefined) return false;
  const same = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0;
  return (
    same(issuerNameHash, hash(name, issuer.subject.der, 'buffer')) &&
    same(issuerKeyHash, hash(name, keyBits(issuer.spki), 'buffer'))
  );
}

function writeResponseData(content: OcspContent, responder: Certificate): Uint8Array {
  const { producedAt, thisUpdate, nextUpdate, answers, nonce } = content;
  const times = [derGeneralizedTime(thisUpdate), der(explicitTag(0), derGeneralizedTime(nextUpdate))];
  // RFC 6960 has SHA-1 here, to find the certificate by; it stands beside the answer anyway.
  const keyHash = der(TAG.OCTET_STRING, hash('sha1', keyBits(responder.spki), 'buffer'));
  const singles = answers.map(({ certId, status }) => derSequence(certId.der, writeStatus(status), ...times));
  return derSequence(
    der(explicitTag(2), keyHash),
    derGeneralizedTime(producedAt),
    derList(TAG.SEQUENCE, singles),
    nonce === undefined ? new Uint8Array() : writeNonce(nonce),
  );
}

function writeStatus(status: OcspStatus): Uint8Array {
  switch (status.status) {
    case 'good':
      return der(implicitTag(0));
    case 'revoked': {
      const reason = der(TAG.ENUMERATED, Uint8Array.of(CRL_REASON[status.reason]));
      return der(explicitTag(1), derGeneralizedTime(status.revokedAt), der(explicitTag(0), reason));
    }
    case 'unknown':
      return der(implicitTag(2));
  }
}

function writeNonce(nonce: Uint8Array): Uint8Array {
  const value = der(TAG.OCTET_STRING, der(TAG.OCTET_STRING, nonce));
  return der(explicitTag(1), derSequence(derSequence(derOid(OCSP_EXTENSION.NONCE), value)));
}
