import { createPublicKey, type KeyObject } from 'node:crypto';
import { toHex } from '../bytes/encoding.ts';
import { ParseError } from '../errors.ts';
import { type DerMode, DerReader, type EncodingFault, explicitTag, implicitTag, TAG } from './der.ts';
import {
  isMinimal,
  readDefaultFalse,
  readOid,
  readSmallInteger,
  readTime,
  readWholeBits,
} from './der-values.ts';
import { der, derOid, derSequence } from './der-writer.ts';
import {
  type AuthorityInfoAccess,
  type AuthorityKeyId,
  type BasicConstraints,
  type Extension,
  type KeyUsage,
  type NameConstraints,
  readAuthorityInfoAccess,
  readAuthorityKeyId,
  readBasicConstraints,
  readCertificatePolicies,
  readCrlDistributionPoints,
  readExtKeyUsage,
  readKeyUsage,
  readNameConstraints,
  readSubjectAltName,
  readSubjectKeyId,
} from './extensions.ts';
import type { GeneralName } from './general-name.ts';
import { type Name, readName } from './name.ts';

/** AlgorithmIdentifier (RFC 5280, 4.1.1.2). */
export interface AlgorithmIdentifier {
  readonly oid: string;
  /** DER of the parameters, with their tag; `undefined` when absent. */
  readonly parameters: Uint8Array | undefined;
}

/** Certificate (RFC 5280, 4.1). Nothing here says that it is valid or trusted: see buildPath. */
export interface Certificate {
  /** The certificate alone, without what stood behind it. */
  readonly der: Uint8Array;
  /** DER of tbsCertificate: the bytes that are signed. */
  readonly tbs: Uint8Array;
  readonly version: 1 | 2 | 3;
  /** Contents of the INTEGER as they stand. */
  readonly serial: Uint8Array;
  readonly serialHex: string;
  readonly issuer: Name;
  readonly subject: Name;
  readonly notBefore: Date;
  /** The last second of validity. */
  readonly notAfter: Date;
  /** DER of SubjectPublicKeyInfo, with id-RSAES-OAEP replaced by rsaEncryption. */
  readonly spki: Uint8Array;
  /** The subject's key, imported at first use. @throws {ParseError} when node:crypto cannot read it */
  readonly publicKey: KeyObject;
  readonly signatureAlgorithm: AlgorithmIdentifier;
  readonly signature: Uint8Array;
  readonly extensions: readonly Extension[];
  readonly basicConstraints: BasicConstraints | undefined;
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined;
  readonly extKeyUsage: readonly string[] | undefined;
  readonly subjectAltName: readonly GeneralName[] | undefined;
  readonly nameConstraints: NameConstraints | undefined;
  readonly authorityKeyId: AuthorityKeyId | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly crlDistributionPoints: readonly string[] | undefined;
  readonly authorityInfoAccess: AuthorityInfoAccess | undefined;
  readonly certificatePolicies: readonly string[] | undefined;
  /** Critical extensions that are not among those above: whoever relies on the certificate must refuse it. */
  readonly unknownCritical: readonly string[];
  /** What was tolerated; always empty in strict mode. */
  readonly faults: readonly EncodingFault[];
}

export const EXTENSION = {
  SUBJECT_KEY_ID: '2.5.29.14',
  KEY_USAGE: '2.5.29.15',
  SUBJECT_ALT_NAME: '2.5.29.17',
  BASIC_CONSTRAINTS: '2.5.29.19',
  CRL_NUMBER: '2.5.29.20',
  CRL_REASON: '2.5.29.21',
  NAME_CONSTRAINTS: '2.5.29.30',
  CRL_DISTRIBUTION_POINTS: '2.5.29.31',
  CERTIFICATE_POLICIES: '2.5.29.32',
  AUTHORITY_KEY_ID: '2.5.29.35',
  EXT_KEY_USAGE: '2.5.29.37',
  AUTHORITY_INFO_ACCESS: '1.3.6.1.5.5.7.1.1',
} as const;

const KNOWN = new Set<string>([
  EXTENSION.SUBJECT_KEY_ID,
  EXTENSION.KEY_USAGE,
  EXTENSION.SUBJECT_ALT_NAME,
  EXTENSION.BASIC_CONSTRAINTS,
  EXTENSION.NAME_CONSTRAINTS,
  EXTENSION.CRL_DISTRIBUTION_POINTS,
  EXTENSION.CERTIFICATE_POLICIES,
  EXTENSION.AUTHORITY_KEY_ID,
  EXTENSION.EXT_KEY_USAGE,
  EXTENSION.AUTHORITY_INFO_ACCESS,
]);

const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';
const EC_PUBLIC_KEY = '1.2.840.10045.2.1';
const RSAES_OAEP = '1.2.840.113549.1.1.7';
const MAX_CERTIFICATE_BYTES = 64 * 1024;
const MAX_EXTENSIONS = 64;
// RFC 5280, 4.1.2.2; a 20-byte number with its top bit set takes one byte more and is seen in the field.
const MAX_SERIAL_BYTES = 20;

/**
 * Parses one X.509 certificate (RFC 5280, 4.1). Checks its form, not its signature, dates or purpose.
 *
 * @param options `lenient` accepts the faults of EncodingFault and names them in `faults`; for EK certificates and
 *   their manufacturers' CAs only
 * @throws {ParseError} for anything that is not exactly one certificate
 */
export function parseCertificate(
  bytes: Uint8Array,
  { mode = 'strict' }: { readonly mode?: DerMode } = {},
): Certificate {
  if (bytes.length > MAX_CERTIFICATE_BYTES) {
    throw new ParseError(
      'Certificate',
      0,
      `has ${bytes.length} bytes, the limit is ${MAX_CERTIFICATE_BYTES}`,
    );
  }
  const input = DerReader.over(bytes, 'Certificate', mode);
  const whole = input.element(TAG.SEQUENCE, 'certificate');
  const outer = input.within(whole, 'certificate');
  const tbsElement = outer.element(TAG.SEQUENCE, 'tbsCertificate');
  const tbs = readTbs(outer.within(tbsElement, 'tbsCertificate'));
  const algorithmElement = outer.element(TAG.SEQUENCE, 'signatureAlgorithm');
  const signatureAlgorithm = readAlgorithm(outer.within(algorithmElement, 'signatureAlgorithm'));
  // Otherwise the signature would not cover the name of its own algorithm (RFC 5280, 4.1.1.2).
  if (!sameBytes(tbs.algorithm, algorithmElement.raw)) {
    outer.fail('signatureAlgorithm', 'differs from the one that is signed');
  }
  const signature = readWholeBits(outer, 'signature');
  outer.end();
  input.padding();
  return withKey({
    ...tbs.fields,
    ...tbs.known,
    der: whole.raw,
    tbs: tbsElement.raw,
    signatureAlgorithm,
    signature,
    faults: input.faults,
  });
}

/** Whether the certificate names itself as its issuer; says nothing about the signature. */
export function isSelfIssued(certificate: Certificate): boolean {
  return Buffer.compare(certificate.issuer.der, certificate.subject.der) === 0;
}

/** AlgorithmIdentifier, from inside its SEQUENCE. */
export function readAlgorithm(reader: DerReader): AlgorithmIdentifier {
  const oid = readOid(reader, 'algorithm');
  const parameters = reader.done ? undefined : reader.any('parameters').raw;
  reader.end();
  return { oid, parameters };
}

/** Extensions (RFC 5280, 4.1.2.9), from inside their SEQUENCE. */
export function readExtensions(list: DerReader): readonly Extension[] {
  const extensions: Extension[] = [];
  const seen = new Set<string>();
  do {
    const reader = list.sequence('extension');
    const oid = readOid(reader, 'extnID');
    const critical = readDefaultFalse(reader, 'critical');
    const { value, offset } = reader.element(TAG.OCTET_STRING, 'extnValue');
    reader.end();
    if (seen.has(oid)) list.fail('extension', `${oid} stands twice`, 'bytes.duplicates');
    if (seen.add(oid).size > MAX_EXTENSIONS) list.fail('extension', `is over the limit of ${MAX_EXTENSIONS}`);
    extensions.push({ oid, critical, value, offset });
  } while (!list.done);
  return extensions;
}

type WithoutKey = Omit<Certificate, 'publicKey'>;

function readTbs(reader: DerReader) {
  const version = readVersion(reader);
  const serial = readSerial(reader);
  const algorithm = reader.element(TAG.SEQUENCE, 'signature').raw;
  const issuer = readName(reader, 'issuer');
  if (issuer.rdns.length === 0) reader.fail('issuer', 'is empty');
  const validity = reader.sequence('validity');
  const notBefore = readTime(validity, 'notBefore');
  const notAfter = readTime(validity, 'notAfter');
  validity.end();
  const subject = readName(reader, 'subject');
  const spki = readSpki(reader);
  reader.optional(implicitTag(1), 'issuerUniqueID');
  reader.optional(implicitTag(2), 'subjectUniqueID');
  const extensions = readTbsExtensions(reader, version);
  reader.end();
  const fields = { version, serial, serialHex: toHex(serial), issuer, notBefore, notAfter, subject, spki };
  return { fields, algorithm, known: readKnownExtensions(reader, extensions) };
}

function readVersion(reader: DerReader): 1 | 2 | 3 {
  const inner = reader.optionalNested(explicitTag(0), 'version');
  if (!inner) return 1;
  const version = readSmallInteger(inner, 'version');
  inner.end();
  if (version === 0) reader.tolerate('explicit-default', 'version', 'writes the default value out');
  else if (version > 2) reader.fail('version', `${version} is unknown`, 'bytes.known');
  return version === 0 ? 1 : version === 1 ? 2 : 3;
}

function readSerial(reader: DerReader): Uint8Array {
  const { value } = reader.element(TAG.INTEGER, 'serialNumber');
  const problem = `has ${value.length} bytes, 1 to ${MAX_SERIAL_BYTES} expected`;
  if (value.length === 0 || value.length > MAX_SERIAL_BYTES + 1) reader.fail('serialNumber', problem);
  if (value.length > MAX_SERIAL_BYTES) reader.tolerate('long-serial', 'serialNumber', problem);
  if (!isMinimal(value)) reader.tolerate('non-minimal-serial', 'serialNumber', 'is not a minimal integer');
  if ((value[0] ?? 0) >= 0x80 || value.every((octet) => octet === 0)) {
    reader.tolerate('serial-not-positive', 'serialNumber', 'is not positive');
  }
  return value;
}

/**
 * Some manufacturers mark RSA keys as id-RSAES-OAEP, with parameters that no library reads; the key bits are those of
 * any RSA key.
 */
function readSpki(outer: DerReader): Uint8Array {
  const element = outer.element(TAG.SEQUENCE, 'subjectPublicKeyInfo');
  const reader = outer.within(element, 'subjectPublicKeyInfo');
  const { oid, parameters } = readAlgorithm(reader.sequence('algorithm'));
  const key = reader.element(TAG.BIT_STRING, 'subjectPublicKey');
  reader.end();
  // A curve that is written out can be one with a generator of somebody's choice (RFC 5480, 2.1.1).
  if (oid === EC_PUBLIC_KEY && parameters?.[0] !== TAG.OID)
    reader.fail('algorithm', 'does not name its curve', 'bytes.known');
  if (oid !== RSAES_OAEP) return element.raw;
  outer.tolerate('oaep-spki', 'subjectPublicKeyInfo', 'marks an RSA key as id-RSAES-OAEP');
  return derSequence(derSequence(derOid(RSA_ENCRYPTION), der(TAG.NULL)), key.raw);
}

function readTbsExtensions(reader: DerReader, version: number): readonly Extension[] {
  const outer = reader.optionalNested(explicitTag(3), 'extensions');
  if (!outer) return [];
  if (version !== 3) reader.fail('extensions', 'stand in a certificate that is not of version 3');
  const extensions = readExtensions(outer.sequence('extensions'));
  outer.end();
  return extensions;
}

function readKnownExtensions(tbs: DerReader, extensions: readonly Extension[]) {
  const byOid = new Map(extensions.map((extension) => [extension.oid, extension]));
  const read = <T>(oid: string, readOne: (reader: DerReader) => T): T | undefined => {
    const extension = byOid.get(oid);
    if (!extension) return undefined;
    const { value: raw, offset } = extension;
    const element = { tag: TAG.OCTET_STRING, raw, value: raw, offset };
    const reader = tbs.within(element, `extension ${oid}`);
    const value = readOne(reader);
    reader.end();
    return value;
  };
  return {
    extensions,
    basicConstraints: read(EXTENSION.BASIC_CONSTRAINTS, readBasicConstraints),
    keyUsage: read(EXTENSION.KEY_USAGE, readKeyUsage),
    extKeyUsage: read(EXTENSION.EXT_KEY_USAGE, readExtKeyUsage),
    subjectAltName: read(EXTENSION.SUBJECT_ALT_NAME, readSubjectAltName),
    nameConstraints: read(EXTENSION.NAME_CONSTRAINTS, readNameConstraints),
    authorityKeyId: read(EXTENSION.AUTHORITY_KEY_ID, readAuthorityKeyId),
    subjectKeyId: read(EXTENSION.SUBJECT_KEY_ID, readSubjectKeyId),
    crlDistributionPoints: read(EXTENSION.CRL_DISTRIBUTION_POINTS, readCrlDistributionPoints),
    authorityInfoAccess: read(EXTENSION.AUTHORITY_INFO_ACCESS, readAuthorityInfoAccess),
    certificatePolicies: read(EXTENSION.CERTIFICATE_POLICIES, readCertificatePolicies),
    unknownCritical: extensions
      .filter(({ oid, critical }) => critical && !KNOWN.has(oid))
      .map(({ oid }) => oid),
  };
}

function withKey(fields: WithoutKey): Certificate {
  let key: KeyObject | undefined;
  return {
    ...fields,
    get publicKey(): KeyObject {
      key ??= importSpki(fields.spki);
      return key;
    },
  };
}

function importSpki(spki: Uint8Array): KeyObject {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
    // A point at infinity is imported like any other; nothing can be done with it but fail later.
    key.export({ type: 'spki', format: 'der' });
    return key;
  } catch {
    throw new ParseError(
      'Certificate.subjectPublicKeyInfo',
      0,
      'is no public key that can be read',
      'bytes.known',
    );
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
