import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { type Certificate, EXTENSION, parseCertificate } from '../../../../core/x509/certificate.ts';
import { explicitTag, implicitTag, TAG } from '../../../../core/x509/der.ts';
import { der, derBits, derOid, derSequence, derTime, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { KEY_USAGES, type KeyUsage } from '../../../../core/x509/extensions.ts';

/** A time when certificates are valid unless they say otherwise. */
export const NOON = new Date('2026-06-01T12:00:00Z');
export const BEFORE = new Date('2026-01-01T00:00:00Z');
export const AFTER = new Date('2027-01-01T00:00:00Z');

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** How a TBS part is signed: AlgorithmIdentifier and signature. */
export interface Algorithm {
  readonly identifier: Uint8Array;
  readonly sign: (tbs: Uint8Array, key: KeyObject) => Uint8Array;
}

/** Everything that can be wrong with a certificate is a field here. */
export interface Forgery {
  readonly subject?: string | Uint8Array;
  readonly issuer?: Forged;
  /** DER of the issuer's name, when not that of `issuer`. */
  readonly issuerName?: Uint8Array;
  readonly key?: KeyPair;
  readonly signingKey?: KeyObject;
  readonly algorithm?: Algorithm;
  /** AlgorithmIdentifier behind the TBS part, when not the signed one. */
  readonly outerAlgorithm?: Uint8Array;
  /** DER of the INTEGER. */
  readonly serial?: Uint8Array;
  /** Version number less one, as on the wire; `undefined` is v1 by default value. */
  readonly version?: number | undefined;
  readonly notBefore?: Uint8Array | Date;
  readonly notAfter?: Uint8Array | Date;
  readonly spki?: Uint8Array;
  readonly extensions?: readonly Uint8Array[];
  /** Key identifier of the subject; `null` for none. */
  readonly ski?: Uint8Array | null;
  readonly aki?: Uint8Array | null;
}

/** A certificate that was made to measure, and its key. */
export interface Forged {
  readonly der: Uint8Array;
  readonly certificate: Certificate;
  readonly key: KeyPair;
  readonly ski: Uint8Array | null;
}

const ECDSA_SHA256: Algorithm = {
  identifier: derSequence(derOid('1.2.840.10045.4.3.2')),
  sign: (tbs, key) => sign('sha256', tbs, { key, dsaEncoding: 'der' }),
};

export function newKey(curve = 'P-256'): KeyPair {
  return generateKeyPairSync('ec', { namedCurve: curve });
}

let counter = 1;

/** DER of a certificate; nothing reads it back. */
export function forgeDer(forgery: Forgery = {}): { der: Uint8Array; key: KeyPair; ski: Uint8Array | null } {
  const { subject = `subject ${counter}`, issuer, key = newKey(), algorithm = ECDSA_SHA256 } = forgery;
  const subjectName = typeof subject === 'string' ? commonName(subject) : subject;
  const ski = forgery.ski === undefined ? keyId(counter) : forgery.ski;
  const aki = forgery.aki === undefined ? (issuer?.ski ?? ski) : forgery.aki;
  const version = 'version' in forgery ? forgery.version : 2;
  const extensions = [
    ...(forgery.extensions ?? []),
    ...(ski ? [extension(EXTENSION.SUBJECT_KEY_ID, false, der(TAG.OCTET_STRING, ski))] : []),
    ...(aki ? [extension(EXTENSION.AUTHORITY_KEY_ID, false, derSequence(der(implicitTag(0), aki)))] : []),
  ];
  const tbs = derSequence(
    version === undefined ? new Uint8Array() : der(explicitTag(0), derUnsigned(Uint8Array.of(version))),
    forgery.serial ?? derUnsigned(Uint8Array.of(0x10, counter >> 8, counter & 0xff)),
    algorithm.identifier,
    forgery.issuerName ?? issuer?.certificate.subject.der ?? subjectName,
    derSequence(time(forgery.notBefore ?? BEFORE), time(forgery.notAfter ?? AFTER)),
    subjectName,
    forgery.spki ?? new Uint8Array(key.publicKey.export({ type: 'spki', format: 'der' })),
    extensions.length === 0 ? new Uint8Array() : der(explicitTag(3), derSequence(...extensions)),
  );
  counter++;
  const signingKey = forgery.signingKey ?? issuer?.key.privateKey ?? key.privateKey;
  const signature = algorithm.sign(tbs, signingKey);
  return {
    der: derSequence(tbs, forgery.outerAlgorithm ?? algorithm.identifier, derBits(signature)),
    key,
    ski,
  };
}

export function forge(forgery: Forgery = {}): Forged {
  const made = forgeDer(forgery);
  return { ...made, certificate: parseCertificate(made.der, { mode: 'lenient' }) };
}

/** A CA, self-signed without `issuer`. */
export function forgeCa(forgery: Forgery & { readonly pathLen?: number } = {}): Forged {
  const { pathLen, extensions = [] } = forgery;
  const isReplaced = (oid: string) =>
    extensions.some((one) => Buffer.from(one).includes(Buffer.from(derOid(oid))));
  const own = [
    ...(isReplaced(EXTENSION.BASIC_CONSTRAINTS) ? [] : [basicConstraints(true, pathLen)]),
    ...(isReplaced(EXTENSION.KEY_USAGE) ? [] : [keyUsage('keyCertSign', 'cRLSign')]),
  ];
  return forge({ ...forgery, extensions: [...own, ...extensions] });
}

/** An end entity with the DNS name `leaf.test`, unless it has extensions of its own. */
export function forgeLeaf(forgery: Forgery = {}): Forged {
  const own = [basicConstraints(false), keyUsage('digitalSignature'), altNames(dns('leaf.test'))];
  return forge({ subject: 'leaf', ...forgery, extensions: forgery.extensions ?? own });
}

export function extension(oid: string, critical: boolean, value: Uint8Array): Uint8Array {
  const flag = critical ? der(TAG.BOOLEAN, Uint8Array.of(0xff)) : new Uint8Array();
  return derSequence(derOid(oid), flag, der(TAG.OCTET_STRING, value));
}

export function basicConstraints(ca: boolean, pathLen?: number, critical = true): Uint8Array {
  const flag = ca ? der(TAG.BOOLEAN, Uint8Array.of(0xff)) : new Uint8Array();
  const length = pathLen === undefined ? new Uint8Array() : derUnsigned(Uint8Array.of(pathLen));
  return extension(EXTENSION.BASIC_CONSTRAINTS, critical, derSequence(flag, length));
}

export function keyUsage(...usages: readonly KeyUsage[]): Uint8Array {
  const bits = usages.map((usage) => KEY_USAGES.indexOf(usage));
  const last = Math.max(...bits);
  const octets = new Uint8Array(2 + (last >> 3));
  octets[0] = 7 - (last & 7);
  for (const bit of bits) octets[1 + (bit >> 3)] = (octets[1 + (bit >> 3)] ?? 0) | (0x80 >> (bit & 7));
  return extension(EXTENSION.KEY_USAGE, true, der(TAG.BIT_STRING, octets));
}

export function extKeyUsage(...oids: readonly string[]): Uint8Array {
  return extension(EXTENSION.EXT_KEY_USAGE, false, derSequence(...oids.map(derOid)));
}

export function altNames(...names: readonly Uint8Array[]): Uint8Array {
  return extension(EXTENSION.SUBJECT_ALT_NAME, false, derSequence(...names));
}

const text = (tag: number) => (value: string) => der(implicitTag(tag), Buffer.from(value, 'latin1'));
export const email = text(1);
export const dns = text(2);
export const uri = text(6);
export const ip = (...octets: number[]) => der(implicitTag(7), Uint8Array.from(octets));
export const directory = (name: Uint8Array) => der(explicitTag(4), name);

export function nameConstraints(
  permitted: readonly Uint8Array[],
  excluded: readonly Uint8Array[] = [],
): Uint8Array {
  const subtrees = (tag: number, bases: readonly Uint8Array[]) =>
    bases.length === 0 ? new Uint8Array() : der(explicitTag(tag), ...bases.map((base) => derSequence(base)));
  const value = derSequence(subtrees(0, permitted), subtrees(1, excluded));
  return extension(EXTENSION.NAME_CONSTRAINTS, true, value);
}

/** DER of a Name with one attribute in each RDN. */
export function name(...parts: readonly (readonly [string, string, number?])[]): Uint8Array {
  return derSequence(
    ...parts.map(([type, value, tag = TAG.UTF8_STRING]) =>
      der(TAG.SET, derSequence(derOid(type), der(tag, Buffer.from(value, 'utf8')))),
    ),
  );
}

export function commonName(value: string): Uint8Array {
  return name(['2.5.4.3', value]);
}

function keyId(seed: number): Uint8Array {
  return Uint8Array.from({ length: 20 }, (_, i) => (seed * 31 + i) & 0xff);
}

function time(value: Uint8Array | Date): Uint8Array {
  return value instanceof Date ? derTime(value) : value;
}
