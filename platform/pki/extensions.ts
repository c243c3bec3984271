// @peculiar/x509 needs it before its own import.
import 'reflect-metadata';
import { isIP } from 'node:net';
import { AsnConvert } from '@peculiar/asn1-schema';
import {
  GeneralName as AsnGeneralName,
  NameConstraints as AsnNameConstraints,
  GeneralSubtree,
  GeneralSubtrees,
} from '@peculiar/asn1-x509';
import {
  AuthorityInfoAccessExtension,
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  CRLDistributionPointsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  type JsonGeneralNames,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  GeneralName as X509GeneralName,
} from '@peculiar/x509';
import { toHex } from '../../core/bytes/encoding.ts';
import { EXTENSION } from '../../core/x509/certificate.ts';
import { explicitTag, TAG } from '../../core/x509/der.ts';
import { der, derSequence } from '../../core/x509/der-writer.ts';
import type { KeyUsage, NameConstraints } from '../../core/x509/extensions.ts';
import type { GeneralName } from '../../core/x509/general-name.ts';
import { OCSP_EXTENSION } from '../../core/x509/ocsp-request.ts';
import { distinguishedName, type NamePart } from './names.ts';

export const USAGE = {
  SERVER_AUTH: '1.3.6.1.5.5.7.3.1',
  CLIENT_AUTH: '1.3.6.1.5.5.7.3.2',
  /** RFC 6960, 4.2.2.2. */
  OCSP_SIGNING: '1.3.6.1.5.5.7.3.9',
  /** RFC 9336. */
  DOCUMENT_SIGNING: '1.3.6.1.5.5.7.3.36',
} as const;

/** Names of an end entity, without regard to their order. */
export interface AltNames {
  readonly dnsNames?: readonly string[];
  /** IPv4 or IPv6, as text. */
  readonly ipAddresses?: readonly string[];
  readonly uris?: readonly string[];
  readonly emails?: readonly string[];
}

/** Of the enterprise number for examples (RFC 5612). */
const UNKNOWN_OID = '1.3.6.1.4.1.32473.1';

const CONSTRAINT_TYPES = {
  dns: 'dNSName',
  uri: 'uniformResourceIdentifier',
  email: 'rfc822Name',
} as const;

export function basicConstraints(ca: boolean, pathLen?: number): Uint8Array {
  return rawOf(new BasicConstraintsExtension(ca, pathLen, true));
}

export function keyUsage(...usages: readonly KeyUsage[]): Uint8Array {
  return rawOf(
    new KeyUsagesExtension(
      usages.reduce((flags, usage) => flags | KeyUsageFlags[usage], 0),
      true,
    ),
  );
}

export function extKeyUsage(...oids: readonly string[]): Uint8Array {
  return rawOf(new ExtendedKeyUsageExtension([...oids], false));
}

/** @throws {RangeError} for no name at all, and for an address that is none */
export function subjectAltName(wanted: AltNames): Uint8Array {
  const { dnsNames = [], ipAddresses = [], uris = [], emails = [] } = wanted;
  const wrong = ipAddresses.find((address) => isIP(address) === 0);
  if (wrong !== undefined) throw new RangeError(`${wrong} is no IP address`);
  const names: JsonGeneralNames = [
    ...dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...ipAddresses.map((value) => ({ type: 'ip' as const, value })),
    ...uris.map((value) => ({ type: 'url' as const, value })),
    ...emails.map((value) => ({ type: 'email' as const, value })),
  ];
  if (names.length === 0) throw new RangeError('a certificate needs a name, an address or a URI');
  return rawOf(new SubjectAlternativeNameExtension(names));
}

/** A critical subjectAltName with one directory name. */
export function directoryAltName(parts: readonly NamePart[]): Uint8Array {
  const names = derSequence(der(explicitTag(4), distinguishedName(parts)));
  return rawOf(new Extension(EXTENSION.SUBJECT_ALT_NAME, true, names));
}

export function nameConstraints({ permitted, excluded }: NameConstraints): Uint8Array {
  const value = new AsnNameConstraints({
    ...(permitted.length > 0 && { permittedSubtrees: subtrees(permitted) }),
    ...(excluded.length > 0 && { excludedSubtrees: subtrees(excluded) }),
  });
  return rawOf(new Extension(EXTENSION.NAME_CONSTRAINTS, true, AsnConvert.serialize(value)));
}

/** Where the status of a certificate can be asked. */
export interface RevocationUrls {
  readonly crl: string;
  readonly ocsp: string;
}

/** cRLDistributionPoints and authorityInfoAccess (RFC 5280, 4.2.1.13 and 4.2.2.1). */
export function revocationPointers({ crl, ocsp }: RevocationUrls): readonly Uint8Array[] {
  return [
    rawOf(new CRLDistributionPointsExtension([crl])),
    rawOf(new AuthorityInfoAccessExtension({ ocsp: new X509GeneralName('url', ocsp) })),
  ];
}

/** Nobody needs to ask whether this certificate is revoked (RFC 6960, 4.2.2.2.1). */
export function ocspNoCheck(): Uint8Array {
  return rawOf(new Extension(OCSP_EXTENSION.NO_CHECK, false, der(TAG.NULL)));
}

/** One that no relying party knows: who finds it critical must refuse (RFC 5280, 4.2). */
export function unknownExtension(critical: boolean): Uint8Array {
  return rawOf(new Extension(UNKNOWN_OID, critical, der(TAG.NULL)));
}

export function subjectKeyId(keyId: Uint8Array): Uint8Array {
  return rawOf(new SubjectKeyIdentifierExtension(toHex(keyId)));
}

export function authorityKeyId(keyId: Uint8Array): Uint8Array {
  return rawOf(new AuthorityKeyIdentifierExtension(toHex(keyId)));
}

function subtrees(bases: readonly GeneralName[]): GeneralSubtrees {
  return new GeneralSubtrees(bases.map((base) => new GeneralSubtree({ base: constraintBase(base) })));
}

function constraintBase(name: GeneralName): AsnGeneralName {
  switch (name.type) {
    case 'dns':
    case 'uri':
    case 'email':
      return new AsnGeneralName({ [CONSTRAINT_TYPES[name.type]]: name.value });
    case 'ip':
      return new AsnGeneralName({ iPAddress: cidr(name.value) });
    default:
      throw new RangeError(`constraints on names of the kind ${name.type} are not written`);
  }
}

/** Everything of one family: the only ranges that our profiles exclude. */
function cidr(range: Uint8Array): string {
  if (range.some((octet) => octet !== 0)) throw new RangeError('only whole address families are excluded');
  return range.length === 8 ? '0.0.0.0/0' : '::/0';
}

function rawOf(extension: Extension): Uint8Array {
  return new Uint8Array(extension.rawData);
}
