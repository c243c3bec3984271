import { readAlgorithm, readExtensions } from './certificate.ts';
import { DerReader, explicitTag, TAG } from './der.ts';
import { readInteger, readSmallInteger } from './der-values.ts';
import { readGeneralName } from './general-name.ts';

/** RFC 6960, 4.4.1 and 4.2.2.2.1. */
export const OCSP_EXTENSION = {
  NONCE: '1.3.6.1.5.5.7.48.1.2',
  /** In a responder's certificate: nobody needs to ask whether it is revoked. */
  NO_CHECK: '1.3.6.1.5.5.7.48.1.5',
} as const;

/** Hashes by which a request may name the issuer; SHA-1 is what most clients use, and nothing rests on its strength. */
const HASHES: Readonly<Record<string, 'sha1' | 'sha256' | 'sha384' | 'sha512'>> = {
  '1.3.14.3.2.26': 'sha1',
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};

/** Which certificate is asked for (RFC 6960, 4.1.1). */
export interface CertId {
  /** DER, to be sent back as it came. */
  readonly der: Uint8Array;
  /** Undefined for one that is not known here. */
  readonly hash: 'sha1' | 'sha256' | 'sha384' | 'sha512' | undefined;
  /** Of the DER of the issuer's name. */
  readonly issuerNameHash: Uint8Array;
  /** Of the issuer's key bits, without tag, length and number of unused bits. */
  readonly issuerKeyHash: Uint8Array;
  /** Contents octets. */
  readonly serial: Uint8Array;
}

export interface OcspRequest {
  readonly certIds: readonly CertId[];
  /** Contents of the nonce's OCTET STRING. */
  readonly nonce: Uint8Array | undefined;
}

const MAX_REQUESTS = 32;
// RFC 9654, 2.1.
const MAX_NONCE_BYTES = 128;
const MAX_HASH_BYTES = 64;
const MAX_SERIAL_BYTES = 21;

/**
 * Parses an OCSPRequest (RFC 6960, 4.1) in strict DER. A signature on it is skipped: everybody gets the same answer.
 *
 * @throws {ParseError} for anything else, for over 32 certificates, for a nonce that is not of 1 to 128 bytes, and for
 *   a critical extension that is unknown here
 */
export function parseOcspRequest(bytes: Uint8Array): OcspRequest {
  const input = DerReader.over(bytes, 'OCSPRequest');
  const outer = input.sequence('request');
  const tbs = outer.sequence('tbsRequest');
  const version = tbs.optionalNested(explicitTag(0), 'version');
  if (version && readSmallInteger(version, 'version') !== 0) tbs.fail('version', 'is not v1', 'bytes.known');
  version?.end();
  const requestor = tbs.optionalNested(explicitTag(1), 'requestorName');
  if (requestor) readGeneralName(requestor, 'requestorName');
  requestor?.end();
  const certIds = readRequests(tbs.sequence('requestList'));
  const extensions = tbs.optionalNested(explicitTag(2), 'requestExtensions');
  const nonce = extensions && readNonce(extensions);
  tbs.end();
  outer.optional(explicitTag(0), 'optionalSignature');
  outer.end();
  input.end();
  return { certIds, nonce };
}

function readRequests(list: DerReader): readonly CertId[] {
  const certIds: CertId[] = [];
  do {
    if (certIds.length === MAX_REQUESTS) list.fail('request', `is over the limit of ${MAX_REQUESTS}`);
    const request = list.sequence('request');
    const certId = request.element(TAG.SEQUENCE, 'reqCert');
    certIds.push(readCertId(request.within(certId, 'reqCert'), certId.raw));
    const extensions = request.optionalNested(explicitTag(0), 'singleRequestExtensions');
    if (extensions) refuseCritical(extensions, readExtensions(extensions.sequence('extensions')));
    extensions?.end();
    request.end();
  } while (!list.done);
  return certIds;
}

function readCertId(reader: DerReader, der: Uint8Array): CertId {
  const { oid } = readAlgorithm(reader.sequence('hashAlgorithm'));
  const readHash = (field: string) => {
    const { value } = reader.element(TAG.OCTET_STRING, field);
    if (value.length === 0 || value.length > MAX_HASH_BYTES) reader.fail(field, `has ${value.length} bytes`);
    return value;
  };
  const issuerNameHash = readHash('issuerNameHash');
  const issuerKeyHash = readHash('issuerKeyHash');
  const serial = readInteger(reader, 'serialNumber');
  if (serial.length > MAX_SERIAL_BYTES) reader.fail('serialNumber', `has ${serial.length} bytes`);
  reader.end();
  return { der, hash: HASHES[oid], issuerNameHash, issuerKeyHash, serial };
}

function readNonce(outer: DerReader): Uint8Array | undefined {
  const extensions = readExtensions(outer.sequence('extensions'));
  outer.end();
  refuseCritical(outer, extensions);
  const found = extensions.find(({ oid }) => oid === OCSP_EXTENSION.NONCE);
  if (!found) return undefined;
  const reader = DerReader.over(found.value, 'OCSPRequest.nonce');
  const { value } = reader.element(TAG.OCTET_STRING, 'nonce');
  reader.end();
  if (value.length === 0 || value.length > MAX_NONCE_BYTES)
    reader.fail('nonce', `has ${value.length} bytes, 1 to ${MAX_NONCE_BYTES} are expected`);
  return value;
}

function refuseCritical(reader: DerReader, extensions: ReturnType<typeof readExtensions>): void {
  const unknown = extensions.find(({ oid, critical }) => critical && oid !== OCSP_EXTENSION.NONCE);
  if (unknown) reader.fail('extension', `${unknown.oid} is critical and unknown here`, 'bytes.known');
}
