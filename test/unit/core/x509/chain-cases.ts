import { constants, generateKeyPairSync, sign } from 'node:crypto';
import { explicitTag, TAG } from '../../../../core/x509/der.ts';
import { der, derOid, derSequence, derUnsigned } from '../../../../core/x509/der-writer.ts';
import { type ChainCase, chainOf } from './chains.ts';
import {
  type Algorithm,
  altNames,
  basicConstraints,
  commonName,
  dns,
  extension,
  type Forged,
  type Forgery,
  forge,
  forgeCa,
  forgeLeaf,
  keyUsage,
  NOON,
  name,
  newKey,
} from './forge.ts';
import { NAME_CASES } from './name-cases.ts';

const PAST = new Date('2026-03-01T00:00:00Z');
const FUTURE = new Date('2026-09-01T00:00:00Z');
const UNKNOWN = '1.3.6.1.4.1.99999.1';
const unknownExtension = (critical: boolean) => extension(UNKNOWN, critical, der(TAG.NULL));

function algorithm(oid: string, digest: string | null, parameters: Uint8Array = der(TAG.NULL)): Algorithm {
  return {
    identifier: derSequence(derOid(oid), parameters),
    sign: (tbs, key) => sign(digest, tbs, key),
  };
}

const NONE = new Uint8Array();
const ECDSA = (bits: 256 | 384 | 512): Algorithm =>
  algorithm(`1.2.840.10045.4.3.${{ 256: 2, 384: 3, 512: 4 }[bits]}`, `sha${bits}`, NONE);
const RSA_SHA256 = algorithm('1.2.840.113549.1.1.11', 'sha256');
const RSA_SHA1 = algorithm('1.2.840.113549.1.1.5', 'sha1');
const ED25519 = algorithm('1.3.101.112', null, NONE);

const SHA256 = derSequence(derOid('2.16.840.1.101.3.4.2.1'));
const PSS: Algorithm = {
  identifier: derSequence(
    derOid('1.2.840.113549.1.1.10'),
    derSequence(
      der(explicitTag(0), SHA256),
      der(explicitTag(1), derSequence(derOid('1.2.840.113549.1.1.8'), SHA256)),
      der(explicitTag(2), derUnsigned(Uint8Array.of(32))),
    ),
  ),
  sign: (tbs, key) => sign('sha256', tbs, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }),
};

export const rsa2048 = generateKeyPairSync('rsa', { modulusLength: 2048 });

const goodWith = (label: string, key: () => Forgery['key'], scheme: Algorithm): ChainCase => ({
  name: `a chain signed with ${label}`,
  rule: null,
  build: () => {
    const made = key();
    if (!made) throw new Error('no key');
    return chainOf({ ca: { key: made }, leaf: { algorithm: scheme } });
  },
});

const SIGNATURES: readonly ChainCase[] = [
  goodWith('ECDSA P-256', () => newKey(), ECDSA(256)),
  goodWith('ECDSA P-384', () => newKey('P-384'), ECDSA(384)),
  goodWith('ECDSA P-521', () => newKey('P-521'), ECDSA(512)),
  goodWith('RSASSA-PKCS1-v1_5', () => rsa2048, RSA_SHA256),
  goodWith('RSASSA-PSS', () => rsa2048, PSS),
  {
    ...goodWith('Ed25519', () => generateKeyPairSync('ed25519'), ED25519),
    pkijs: { accepts: false, why: 'pkijs has no Ed25519' },
  },
  {
    name: 'a signature with SHA-1',
    rule: 'path.algorithm',
    build: () => chainOf({ ca: { key: rsa2048 }, leaf: { algorithm: RSA_SHA1 } }),
    openssl: { accepts: true, why: 'openssl verify has no security level unless one is given' },
    pkijs: { accepts: true, why: 'pkijs judges no algorithm' },
  },
  {
    name: 'a CA key of RSA-1024',
    rule: 'path.algorithm',
    build: () =>
      chainOf({
        ca: { key: generateKeyPairSync('rsa', { modulusLength: 1024 }) },
        leaf: { algorithm: RSA_SHA256 },
      }),
    openssl: { accepts: true, why: 'openssl verify has no security level unless one is given' },
    pkijs: { accepts: true, why: 'pkijs judges no key length' },
  },
  {
    name: 'a CA key on secp256k1',
    rule: 'path.algorithm',
    build: () => chainOf({ ca: { key: newKey('secp256k1') }, leaf: { algorithm: ECDSA(256) } }),
    openssl: { accepts: true, why: 'OpenSSL takes every named curve' },
  },
  {
    name: 'a signature by another key',
    rule: 'path.signature',
    build: () => chainOf({ leaf: { signingKey: newKey().privateKey } }),
  },
  {
    name: 'an algorithm that is not that of the key',
    rule: 'path.algorithm',
    build: () => chainOf({ leaf: { algorithm: { ...ECDSA(256), identifier: RSA_SHA256.identifier } } }),
    pkijs: { accepts: true, why: 'pkijs takes the algorithm for that of the key' },
  },
];

const DATES: readonly ChainCase[] = [
  { name: 'an expired leaf', rule: 'path.dates', build: () => chainOf({ leaf: { notAfter: PAST } }) },
  { name: 'a leaf of the future', rule: 'path.dates', build: () => chainOf({ leaf: { notBefore: FUTURE } }) },
  { name: 'an expired CA', rule: 'path.dates', build: () => chainOf({ ca: { notAfter: PAST } }) },
  {
    name: 'a CA of the future',
    rule: 'path.dates',
    build: () => chainOf({ issuing: { notBefore: FUTURE } }),
  },
  { name: 'an expired anchor', rule: 'path.dates', build: () => chainOf({ root: { notAfter: PAST } }) },
  {
    name: 'a leaf that ends in the year 9999',
    rule: null,
    build: () => chainOf({ leaf: { notAfter: new Date('9999-12-31T23:59:59Z') } }),
  },
  { name: 'the first second', rule: null, build: () => chainOf({ leaf: { notBefore: NOON } }) },
  {
    name: 'the last second',
    rule: null,
    build: () => chainOf({ leaf: { notAfter: NOON } }),
    openssl: { accepts: false, why: 'OpenSSL takes the last second for over' },
  },
  {
    name: 'the second after the last',
    rule: 'path.dates',
    build: () => chainOf({ leaf: { notAfter: new Date(NOON.getTime() - 1000) } }),
  },
];

const noUnknownInPkijs = {
  accepts: true,
  why: 'pkijs takes every critical extension in ASN.1 for a known one',
};

const AUTHORITY: readonly ChainCase[] = [
  { name: 'a good chain', rule: null, build: () => chainOf({}) },
  {
    name: 'an intermediate that is no CA',
    rule: 'path.ca',
    build: () => chainOf({ ca: { extensions: [basicConstraints(false), keyUsage('digitalSignature')] } }),
  },
  {
    name: 'an intermediate without basicConstraints',
    rule: 'path.ca',
    build: () => {
      const chain = chainOf({});
      const [, issuing] = chain.intermediates;
      const bare = forge({
        subject: 'ca',
        ...(issuing && { issuer: issuing }),
        extensions: [keyUsage('keyCertSign')],
      });
      return {
        ...chain,
        leaf: forgeLeaf({ issuer: bare }),
        intermediates: [bare, ...chain.intermediates.slice(1)],
      };
    },
  },
  {
    name: 'an anchor that is no CA',
    rule: 'path.ca',
    build: () => chainOf({ root: { extensions: [basicConstraints(false), keyUsage('digitalSignature')] } }),
  },
  {
    name: 'a CA whose key must not sign certificates',
    rule: 'path.key-usage',
    build: () => chainOf({ issuing: { extensions: [keyUsage('digitalSignature', 'cRLSign')] } }),
  },
  {
    name: 'a CA below path length 0',
    rule: 'path.length',
    build: () => chainOf({ issuing: { pathLen: 0 } }),
    pkijs: { accepts: true, why: 'pkijs does not check path lengths' },
  },
  {
    name: 'two CAs below the path length 1 of the anchor',
    rule: 'path.length',
    build: () => chainOf({ root: { pathLen: 1 } }),
    pkijs: { accepts: true, why: 'pkijs does not check path lengths' },
  },
  {
    name: 'a self-issued CA does not count for the path length',
    rule: null,
    build: () => {
      const root = forgeCa({ subject: 'root', pathLen: 1 });
      const rolled = forgeCa({ subject: 'root', issuer: root, pathLen: 1 });
      const ca = forgeCa({ subject: 'ca', issuer: rolled, pathLen: 0 });
      return { leaf: forgeLeaf({ issuer: ca }), intermediates: [rolled, ca], anchors: [root], at: NOON };
    },
  },
  {
    name: 'an unknown critical extension of the leaf',
    rule: 'path.critical',
    build: () =>
      chainOf({
        leaf: { extensions: [altNames(dns('leaf.test')), basicConstraints(false), unknownExtension(true)] },
      }),
    pkijs: noUnknownInPkijs,
  },
  {
    name: 'an unknown critical extension of a CA',
    rule: 'path.critical',
    build: () => chainOf({ issuing: { extensions: [unknownExtension(true)] } }),
    pkijs: noUnknownInPkijs,
  },
  {
    name: 'an unknown extension that is not critical',
    rule: null,
    build: () => chainOf({ issuing: { extensions: [unknownExtension(false)] } }),
  },
  {
    name: 'critical policy constraints',
    rule: 'path.critical',
    build: () => {
      const value = derSequence(der(0x80, Uint8Array.of(9)));
      return chainOf({ issuing: { extensions: [extension('2.5.29.36', true, value)] } });
    },
    openssl: { accepts: true, why: 'OpenSSL processes policies; here nothing may rest on them' },
    pkijs: { accepts: true, why: 'pkijs processes policies; here nothing may rest on them' },
  },
];

function twins(): { readonly one: Forged; readonly other: Forged } {
  return { one: forgeCa({ subject: 'twin', pathLen: 0 }), other: forgeCa({ subject: 'twin', pathLen: 0 }) };
}

const BUILDING: readonly ChainCase[] = [
  {
    name: 'no certificate with the name of the issuer',
    rule: 'path.issuer',
    build: () => ({ ...chainOf({}), intermediates: [] }),
  },
  {
    name: 'only an issuer with another key id',
    rule: 'path.issuer',
    build: () => chainOf({ leaf: { aki: new Uint8Array(20) } }),
  },
  {
    name: 'an anchor with the same name and another key',
    rule: 'path.signature',
    build: () => {
      const { one, other } = twins();
      return {
        leaf: forgeLeaf({ issuer: one, aki: other.ski }),
        intermediates: [],
        anchors: [other],
        at: NOON,
      };
    },
  },
  {
    name: 'two anchors with the same name and no key ids',
    rule: null,
    build: () => {
      const one = forgeCa({ subject: 'twin', ski: null });
      const other = forgeCa({ subject: 'twin', ski: null });
      return { leaf: forgeLeaf({ issuer: one }), intermediates: [], anchors: [other, one], at: NOON };
    },
    openssl: { accepts: false, why: 'x509_strict wants key ids, and OpenSSL tries the first match alone' },
  },
  {
    name: 'two intermediates with the same name and key, of which one is expired',
    rule: null,
    build: () => {
      const root = forgeCa({ subject: 'root' });
      const old = forgeCa({ subject: 'ca', issuer: root, notAfter: PAST });
      const key = old.key;
      const current = forgeCa({ subject: 'ca', issuer: root, key, ski: old.ski });
      return { leaf: forgeLeaf({ issuer: old }), intermediates: [old, current], anchors: [root], at: NOON };
    },
    pkijs: { accepts: false, why: 'pkijs judges the first of the shortest paths alone' },
  },
  {
    name: 'CAs that certify each other and no anchor',
    rule: 'path.issuer',
    build: () => {
      const a = forgeCa({ subject: 'a' });
      const b = forgeCa({ subject: 'b', issuer: a });
      const back = forgeCa({ subject: 'a', issuer: b, key: a.key, ski: a.ski });
      const stranger = forgeCa({ subject: 'stranger' });
      return { leaf: forgeLeaf({ issuer: b }), intermediates: [b, back], anchors: [stranger], at: NOON };
    },
    pkijs: { accepts: 'no answer', why: 'pkijs follows the circle without end' },
  },
  {
    name: 'a self-signed certificate that is not an anchor',
    rule: 'path.issuer',
    build: () => {
      const own = forgeCa({ subject: 'own' });
      return { leaf: forgeLeaf({ issuer: own }), intermediates: [own], anchors: [forgeCa()], at: NOON };
    },
  },
  {
    name: 'a name that differs in case and spaces alone',
    rule: null,
    build: () => {
      const root = forgeCa({ subject: 'Some  Root' });
      return {
        leaf: forgeLeaf({ issuer: root, issuerName: commonName('some root ') }),
        intermediates: [],
        anchors: [root],
        at: NOON,
      };
    },
  },
  {
    name: 'an issuer whose name is encoded as another string type',
    rule: null,
    build: () => {
      const root = forgeCa({ subject: 'root' });
      const issuerName = name(['2.5.4.3', 'root', TAG.PRINTABLE_STRING]);
      return { leaf: forgeLeaf({ issuer: root, issuerName }), intermediates: [], anchors: [root], at: NOON };
    },
  },
];

/** Good chains, and chains with one defect each. */
export const CHAIN_CASES: readonly ChainCase[] = [
  ...AUTHORITY,
  ...DATES,
  ...SIGNATURES,
  ...BUILDING,
  ...NAME_CASES,
];
