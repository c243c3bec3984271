import { type KeyObject, sign } from 'node:crypto';
import { fromHex, toHex } from '../bytes/encoding.ts';
import {
  type AlgorithmIdentifier,
  type Certificate,
  EXTENSION,
  readAlgorithm,
  readExtensions,
} from './certificate.ts';
import { DerReader, explicitTag, implicitTag, TAG } from './der.ts';
import { readInteger, readSmallInteger, readTime, readWholeBits } from './der-values.ts';
import { der, derBits, derList, derOid, derSequence, derTime, derUnsigned } from './der-writer.ts';
import { readAuthorityKeyId } from './extensions.ts';
import { type Name, readName } from './name.ts';

/** CRLReason (RFC 5280, 5.3.1), as far as we give one; `unspecified` should not be written out. */
export const CRL_REASON = {
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  privilegeWithdrawn: 9,
} as const;
export type CrlReason = keyof typeof CRL_REASON;

export interface RevokedCertificate {
  /** Lower-case hex of the serial number's contents octets. */
  readonly serialHex: string;
  readonly revokedAt: Date;
  /** Always given: an entry without extensions is written differently by different programs. */
  readonly reason: CrlReason;
}

export interface CrlContent {
  /** Grows with each CRL of one issuer (RFC 5280, 5.2.3). */
  readonly number: bigint;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  readonly revoked: readonly RevokedCertificate[];
}

/** CertificateList (RFC 5280, 5.1), version 2. Its signature is not checked: see verifySignature. */
export interface Crl {
  readonly der: Uint8Array;
  readonly tbs: Uint8Array;
  readonly issuer: Name;
  readonly number: bigint | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** By lower-case hex of the serial number. */
  readonly revoked: ReadonlyMap<string, { readonly revokedAt: Date; readonly reason: number | undefined }>;
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly signature: Uint8Array;
}

const ECDSA_WITH_SHA256 = derSequence(derOid('1.2.840.10045.4.3.2'));
const VERSION_2 = derUnsigned(Uint8Array.of(1));
// Some eight elements an entry: enough for half a million of them.
const MAX_NODES = 4_000_000;

/**
 * Writes and signs a CRL with ECDSA and SHA-256. The signature is random; all else depends on the arguments alone.
 *
 * @param issuer the certificate of the CA, which must have a subjectKeyIdentifier
 * @param key its private key, on P-256
 * @throws {RangeError} for what a CRL cannot say: fractions of seconds, a serial number twice
 */
export function writeCrl(issuer: Certificate, key: KeyObject, content: CrlContent): Uint8Array {
  const tbs = writeTbs(issuer, content);
  return derSequence(tbs, ECDSA_WITH_SHA256, derBits(sign('sha256', tbs, { key, dsaEncoding: 'der' })));
}

/**
 * Parses a CRL of version 2, in strict DER.
 *
 * @throws {ParseError} for anything else, an unknown critical extension, or a serial number that stands twice
 */
export function parseCrl(bytes: Uint8Array): Crl {
  const input = DerReader.over(bytes, 'CertificateList', 'strict', { nodes: MAX_NODES });
  const outer = input.sequence('list');
  const tbsElement = outer.element(TAG.SEQUENCE, 'tbsCertList');
  const tbs = readTbs(outer.within(tbsElement, 'tbsCertList'));
  const algorithm = outer.element(TAG.SEQUENCE, 'signatureAlgorithm');
  if (Buffer.compare(algorithm.raw, tbs.algorithm) !== 0) {
    outer.fail('signatureAlgorithm', 'differs from the one that is signed');
  }
  const signatureAlgorithm = readAlgorithm(outer.within(algorithm, 'signatureAlgorithm'));
  const signature = readWholeBits(outer, 'signature');
  outer.end();
  input.end();
  return { ...tbs.fields, der: bytes, tbs: tbsElement.raw, signatureAlgorithm, signature };
}

function writeTbs(issuer: Certificate, { number, thisUpdate, nextUpdate, revoked }: CrlContent): Uint8Array {
  const { subjectKeyId } = issuer;
  if (!subjectKeyId) throw new RangeError('the CA certificate has no subjectKeyIdentifier to refer to');
  if (new Set(revoked.map(({ serialHex }) => serialHex)).size !== revoked.length) {
    throw new RangeError('a serial number is revoked twice');
  }
  const keyId = derSequence(der(implicitTag(0), subjectKeyId));
  return derSequence(
    VERSION_2,
    ECDSA_WITH_SHA256,
    issuer.subject.der,
    derTime(thisUpdate),
    derTime(nextUpdate),
    // The list is absent when it is empty (RFC 5280, 5.1.2.6).
    revoked.length === 0 ? new Uint8Array() : derList(TAG.SEQUENCE, revoked.map(entryWriter())),
    der(
      explicitTag(0),
      derSequence(
        extension(EXTENSION.AUTHORITY_KEY_ID, keyId),
        extension(EXTENSION.CRL_NUMBER, derUnsigned(magnitude(number))),
      ),
    ),
  );
}

/** Writes entries; dates and reasons repeat, so each is encoded once. */
function entryWriter(): (entry: RevokedCertificate) => Uint8Array {
  const times = memoize((milliseconds: number) => derTime(new Date(milliseconds)));
  const reasons = memoize((reason: CrlReason) =>
    derSequence(extension(EXTENSION.CRL_REASON, der(TAG.ENUMERATED, Uint8Array.of(CRL_REASON[reason])))),
  );
  return ({ serialHex, revokedAt, reason }) =>
    derSequence(derUnsigned(fromHex(serialHex, 'serial')), times(revokedAt.getTime()), reasons(reason));
}

function memoize<K, V>(make: (key: K) => V): (key: K) => V {
  const made = new Map<K, V>();
  return (key) => {
    const known = made.get(key);
    if (known !== undefined) return known;
    const value = make(key);
    made.set(key, value);
    return value;
  };
}

function extension(oid: string, value: Uint8Array): Uint8Array {
  return derSequence(derOid(oid), der(TAG.OCTET_STRING, value));
}

function magnitude(number: bigint): Uint8Array {
  if (number < 0n || number >= 1n << 159n) throw new RangeError(`${number} is no CRL number`);
  const hex = number.toString(16);
  return fromHex(hex.padStart(hex.length + (hex.length % 2), '0'), 'number');
}

function readTbs(reader: DerReader) {
  if (readSmallInteger(reader, 'version') !== 1) reader.fail('version', 'is not 2', 'bytes.known');
  const algorithm = reader.element(TAG.SEQUENCE, 'signature').raw;
  const issuer = readName(reader, 'issuer');
  const thisUpdate = readTime(reader, 'thisUpdate');
  const nextUpdate = readTime(reader, 'nextUpdate');
  const list = reader.optionalNested(TAG.SEQUENCE, 'revokedCertificates');
  const revoked = list ? readEntries(list) : new Map();
  const { number, authorityKeyId } = readCrlExtensions(reader.nested(explicitTag(0), 'crlExtensions'));
  reader.end();
  return { algorithm, fields: { issuer, thisUpdate, nextUpdate, revoked, number, authorityKeyId } };
}

function readEntries(list: DerReader): Crl['revoked'] {
  const revoked = new Map<string, { readonly revokedAt: Date; readonly reason: number | undefined }>();
  do {
    const reader = list.sequence('entry');
    const serialHex = toHex(readInteger(reader, 'userCertificate'));
    const revokedAt = readTime(reader, 'revocationDate');
    const reason = reader.done ? undefined : readReason(reader);
    reader.end();
    if (revoked.has(serialHex)) list.fail('entry', `serial ${serialHex} stands twice`, 'bytes.duplicates');
    revoked.set(serialHex, { revokedAt, reason });
  } while (!list.done);
  return revoked;
}

function readReason(entry: DerReader): number | undefined {
  let reason: number | undefined;
  for (const { oid, critical, value } of readExtensions(entry.sequence('crlEntryExtensions'))) {
    // An entry whose critical extension is not understood must not be taken for a plain one (RFC 5280, 5.3).
    if (oid === EXTENSION.CRL_REASON) reason = readWhole(value, 'reasonCode', readEnumerated);
    else if (critical) entry.fail('crlEntryExtensions', `${oid} is critical and unknown`, 'bytes.known');
  }
  return reason;
}

function readCrlExtensions(outer: DerReader) {
  let number: bigint | undefined;
  let authorityKeyId: Uint8Array | undefined;
  for (const { oid, critical, value } of readExtensions(outer.sequence('extensions'))) {
    if (oid === EXTENSION.CRL_NUMBER) number = readWhole(value, 'cRLNumber', readNumber);
    else if (oid === EXTENSION.AUTHORITY_KEY_ID) {
      authorityKeyId = readWhole(value, 'authorityKeyIdentifier', readAuthorityKeyId).keyId;
    } else if (critical) outer.fail('extensions', `${oid} is critical and unknown`, 'bytes.known');
  }
  outer.end();
  return { number, authorityKeyId };
}

function readEnumerated(reader: DerReader): number {
  return readSmallInteger(reader, 'code', TAG.ENUMERATED);
}

function readNumber(reader: DerReader): bigint {
  const value = readInteger(reader, 'number');
  if ((value[0] ?? 0) >= 0x80 || value.length > 20) reader.fail('number', 'is negative or over 20 bytes');
  return BigInt(`0x${toHex(value)}`);
}

function readWhole<T>(value: Uint8Array, path: string, readOne: (reader: DerReader) => T): T {
  const reader = DerReader.over(value, path);
  const result = readOne(reader);
  reader.end();
  return result;
}
