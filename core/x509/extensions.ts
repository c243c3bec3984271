import { type DerReader, explicitTag, implicitTag, TAG } from './der.ts';
import { readDefaultFalse, readInteger, readNamedBits, readOid, readSmallInteger } from './der-values.ts';
import { type GeneralName, readGeneralName, readGeneralNames } from './general-name.ts';

/** Extension (RFC 5280, 4.1.2.9), not interpreted. */
export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  /** DER inside the OCTET STRING. */
  readonly value: Uint8Array;
  /** Of the value, from the start of the outermost structure. */
  readonly offset: number;
}

export interface BasicConstraints {
  readonly ca: boolean;
  readonly pathLen: number | undefined;
}

/** KeyUsage (RFC 5280, 4.2.1.3), in the order of its bits. */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

/** NameConstraints (RFC 5280, 4.2.1.10). `minimum` and `maximum` are refused, as that section says. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
}

/** AuthorityKeyIdentifier (RFC 5280, 4.2.1.1). */
export interface AuthorityKeyId {
  readonly keyId: Uint8Array | undefined;
  readonly issuer: readonly GeneralName[] | undefined;
  readonly serial: Uint8Array | undefined;
}

/** URIs where certificates of the issuer and its OCSP responder are (RFC 5280, 4.2.2.1). Never fetched by us. */
export interface AuthorityInfoAccess {
  readonly caIssuers: readonly string[];
  readonly ocsp: readonly string[];
}

const MAX_LIST = 256;
const CONSTRAINT_ADDRESS_LENGTHS = [8, 32];

export function readBasicConstraints(outer: DerReader): BasicConstraints {
  const reader = outer.sequence('basicConstraints');
  const ca = readDefaultFalse(reader, 'cA');
  const pathLen = reader.peek(TAG.INTEGER) ? readSmallInteger(reader, 'pathLen') : undefined;
  reader.end();
  if (pathLen !== undefined && !ca) reader.fail('pathLen', 'stands in a certificate that is not a CA');
  return { ca, pathLen };
}

export function readKeyUsage(reader: DerReader): ReadonlySet<KeyUsage> {
  const bits = readNamedBits(reader, 'keyUsage', KEY_USAGES.length);
  return new Set(KEY_USAGES.filter((_, bit) => bits.has(bit)));
}

/** ExtKeyUsageSyntax (RFC 5280, 4.2.1.12): at least one dotted object identifier. */
export function readExtKeyUsage(outer: DerReader): readonly string[] {
  return readList(outer, 'extKeyUsage', (reader) => readOid(reader, 'keyPurposeId'));
}

export function readSubjectAltName(reader: DerReader): readonly GeneralName[] {
  return readGeneralNames(reader, 'subjectAltName');
}

export function readNameConstraints(outer: DerReader): NameConstraints {
  const reader = outer.sequence('nameConstraints');
  const permitted = readSubtrees(reader, explicitTag(0), 'permitted');
  const excluded = readSubtrees(reader, explicitTag(1), 'excluded');
  reader.end();
  if (permitted.length + excluded.length === 0) reader.fail('nameConstraints', 'is empty');
  return { permitted, excluded };
}

export function readAuthorityKeyId(outer: DerReader): AuthorityKeyId {
  const reader = outer.sequence('authorityKeyIdentifier');
  const keyId = reader.optional(implicitTag(0), 'keyIdentifier')?.value;
  const issuer = reader.peek(explicitTag(1))
    ? readGeneralNames(reader, 'authorityCertIssuer', explicitTag(1))
    : undefined;
  const serial = reader.peek(implicitTag(2))
    ? readInteger(reader, 'authorityCertSerialNumber', implicitTag(2))
    : undefined;
  reader.end();
  return { keyId, issuer, serial };
}

export function readSubjectKeyId(reader: DerReader): Uint8Array {
  const { value } = reader.element(TAG.OCTET_STRING, 'subjectKeyIdentifier');
  if (value.length === 0) reader.fail('subjectKeyIdentifier', 'is empty');
  return value;
}

/** CRLDistributionPoints (RFC 5280, 4.2.1.13): the URIs alone. */
export function readCrlDistributionPoints(outer: DerReader): readonly string[] {
  return readList(outer, 'crlDistributionPoints', readDistributionPoint).flat();
}

export function readAuthorityInfoAccess(outer: DerReader): AuthorityInfoAccess {
  const entries = readList(outer, 'authorityInfoAccess', readAccessDescription);
  const urisOf = (method: string) =>
    entries.filter((entry) => entry.method === method).flatMap(({ uris }) => uris);
  return { caIssuers: urisOf('1.3.6.1.5.5.7.48.2'), ocsp: urisOf('1.3.6.1.5.5.7.48.1') };
}

/** CertificatePolicies (RFC 5280, 4.2.1.4): the identifiers; qualifiers are skipped. */
export function readCertificatePolicies(outer: DerReader): readonly string[] {
  return readList(outer, 'certificatePolicies', (list) => {
    const reader = list.sequence('policyInformation');
    const policy = readOid(reader, 'policyIdentifier');
    reader.optional(TAG.SEQUENCE, 'policyQualifiers');
    reader.end();
    return policy;
  });
}

function readSubtrees(outer: DerReader, tag: number, field: string): readonly GeneralName[] {
  if (!outer.peek(tag)) return [];
  return readList(
    outer,
    field,
    (list) => {
      const reader = list.sequence('subtree');
      const base = readGeneralName(reader, 'base', CONSTRAINT_ADDRESS_LENGTHS);
      // minimum must be 0, which DER leaves out, and maximum must be absent (RFC 5280, 4.2.1.10).
      reader.end();
      if (base.type === 'ip' && !isAddressRange(base.value))
        reader.fail('base.ip', 'is no range of addresses');
      return base;
    },
    tag,
  );
}

/** Address and mask (RFC 4632): ones, then zeros. */
function isAddressRange(value: Uint8Array): boolean {
  const mask = [...value.subarray(value.length / 2)]
    .map((octet) => octet.toString(2).padStart(8, '0'))
    .join('');
  return /^1*0*$/.test(mask);
}

function readDistributionPoint(list: DerReader): readonly string[] {
  const reader = list.sequence('distributionPoint');
  const point = reader.optionalNested(explicitTag(0), 'distributionPoint');
  const names = point?.peek(explicitTag(0)) ? readGeneralNames(point, 'fullName', explicitTag(0)) : [];
  if (point && names.length === 0) point.element(explicitTag(1), 'nameRelativeToCRLIssuer');
  point?.end();
  reader.optional(implicitTag(1), 'reasons');
  reader.optional(explicitTag(2), 'cRLIssuer');
  reader.end();
  return names.flatMap(uriOf);
}

function readAccessDescription(list: DerReader): {
  readonly method: string;
  readonly uris: readonly string[];
} {
  const reader = list.sequence('accessDescription');
  const method = readOid(reader, 'accessMethod');
  const location = readGeneralName(reader, 'accessLocation');
  reader.end();
  return { method, uris: uriOf(location) };
}

function uriOf(name: GeneralName): readonly string[] {
  return name.type === 'uri' ? [name.value] : [];
}

/** A list of one or more. */
function readList<T>(
  outer: DerReader,
  field: string,
  readOne: (list: DerReader) => T,
  tag: number = TAG.SEQUENCE,
): T[] {
  const list = outer.nested(tag, field);
  const items: T[] = [];
  do {
    if (items.length === MAX_LIST) list.fail(field, `has over ${MAX_LIST} elements`);
    items.push(readOne(list));
  } while (!list.done);
  return items;
}
