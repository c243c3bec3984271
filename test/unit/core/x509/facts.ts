import { createPublicKey } from 'node:crypto';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { type Certificate, EXTENSION } from '../../../../core/x509/certificate.ts';
import type { KeyUsage } from '../../../../core/x509/extensions.ts';
import type { Openssl } from './openssl.ts';

/** What `openssl x509` says about a certificate, in its words where they are not ours too. */
export interface Facts {
  readonly subject: string;
  readonly issuer: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
  readonly spki: string;
  /** By the title that openssl gives an extension: whether it is critical, and the words in it. */
  readonly extensions: Readonly<Record<string, { readonly critical: boolean; readonly words: string }>>;
}

const EXTENSION_NAMES =
  'basicConstraints,keyUsage,extendedKeyUsage,subjectKeyIdentifier,authorityKeyIdentifier,' +
  'certificatePolicies,crlDistributionPoints,authorityInfoAccess';
const TITLES: readonly (readonly [oid: string, title: string, words: (of: Certificate) => string])[] = [
  [EXTENSION.BASIC_CONSTRAINTS, 'X509v3 Basic Constraints', constraintWords],
  [
    EXTENSION.KEY_USAGE,
    'X509v3 Key Usage',
    ({ keyUsage }) => [...(keyUsage ?? [])].map(usageWord).join(', '),
  ],
  [
    EXTENSION.EXT_KEY_USAGE,
    'X509v3 Extended Key Usage',
    (of) => (of.extKeyUsage ?? []).map(oidWord).join(', '),
  ],
  [EXTENSION.SUBJECT_KEY_ID, 'X509v3 Subject Key Identifier', (of) => colons(of.subjectKeyId)],
  [EXTENSION.AUTHORITY_KEY_ID, 'X509v3 Authority Key Identifier', (of) => colons(of.authorityKeyId?.keyId)],
  [
    EXTENSION.CERTIFICATE_POLICIES,
    'X509v3 Certificate Policies',
    (of) => (of.certificatePolicies ?? []).map((oid) => `Policy: ${oidWord(oid)}`).join(' '),
  ],
  [
    EXTENSION.CRL_DISTRIBUTION_POINTS,
    'X509v3 CRL Distribution Points',
    (of) => (of.crlDistributionPoints ?? []).map((uri) => `URI:${uri}`).join(' '),
  ],
  [EXTENSION.AUTHORITY_INFO_ACCESS, 'Authority Information Access', accessWords],
];

export function ourFacts(certificate: Certificate): Facts {
  const known = TITLES.flatMap(([oid, title, words]) => {
    const extension = certificate.extensions.find((one) => one.oid === oid);
    return extension ? [[title, { critical: extension.critical, words: words(certificate) }] as const] : [];
  });
  return {
    subject: sorted(certificate.subject.text),
    issuer: sorted(certificate.issuer.text),
    serial: certificate.serialHex.toUpperCase().replace(/^00(?=.)/, ''),
    notBefore: secondsOf(certificate.notBefore),
    notAfter: secondsOf(certificate.notAfter),
    spki: toHex(certificate.spki),
    extensions: Object.fromEntries(known),
  };
}

/** @param path of a file in PEM or DER */
export function opensslFacts(openssl: Openssl, path: string): Facts {
  const fields = ['-subject', '-issuer', '-serial', '-dates', '-dateopt', 'iso_8601', '-pubkey'];
  const names = ['-nameopt', 'RFC2253,-esc_msb,utf8', '-ext', EXTENSION_NAMES];
  const output = openssl.text('x509', '-in', path, '-noout', ...fields, ...names);
  const field = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(output)?.[1] ?? '';
  const pem = /-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/.exec(output)?.[0] ?? '';
  return {
    subject: sorted(field('subject')),
    issuer: sorted(field('issuer')),
    serial: field('serial'),
    notBefore: field('notBefore'),
    notAfter: field('notAfter'),
    spki: toHex(createPublicKey(pem).export({ type: 'spki', format: 'der' })),
    extensions: extensionsIn(output),
  };
}

function extensionsIn(output: string): Facts['extensions'] {
  const titles = TITLES.map(([, title]) => title).join('|');
  const block = new RegExp(`^(${titles}): ?(critical)?\\s*\\n((?: +.*\\n?|\\n)*)`, 'gm');
  const found = [...output.matchAll(block)].map(([, title = '', critical, body = '']) => {
    // Lines that only say where a name stands, or qualify a policy, are not among our facts.
    const lines = body.split('\n').map((line) => line.trim());
    const words = lines.filter((line) => !/^(?:Full Name:|CPS: |User Notice:|Explicit Text: |$)/.test(line));
    return [title, { critical: critical !== undefined, words: words.join(' ') }] as const;
  });
  return Object.fromEntries(found);
}

function constraintWords({ basicConstraints }: Certificate): string {
  const { ca = false, pathLen } = basicConstraints ?? {};
  return `CA:${ca ? 'TRUE' : 'FALSE'}${pathLen === undefined ? '' : `, pathlen:${pathLen}`}`;
}

function accessWords({ authorityInfoAccess }: Certificate): string {
  const { ocsp = [], caIssuers = [] } = authorityInfoAccess ?? {};
  return [
    ...ocsp.map((uri) => `OCSP - URI:${uri}`),
    ...caIssuers.map((uri) => `CA Issuers - URI:${uri}`),
  ].join(' ');
}

const USAGE_WORDS: Readonly<Record<KeyUsage, string>> = {
  digitalSignature: 'Digital Signature',
  nonRepudiation: 'Non Repudiation',
  keyEncipherment: 'Key Encipherment',
  dataEncipherment: 'Data Encipherment',
  keyAgreement: 'Key Agreement',
  keyCertSign: 'Certificate Sign',
  cRLSign: 'CRL Sign',
  encipherOnly: 'Encipher Only',
  decipherOnly: 'Decipher Only',
};
const usageWord = (usage: KeyUsage) => USAGE_WORDS[usage];

const OID_WORDS: Readonly<Record<string, string>> = {
  '2.5.29.32.0': 'X509v3 Any Policy',
  '1.3.6.1.5.5.7.3.1': 'TLS Web Server Authentication',
  '1.3.6.1.5.5.7.3.2': 'TLS Web Client Authentication',
};
const oidWord = (oid: string) => OID_WORDS[oid] ?? oid;

function colons(bytes: Uint8Array | undefined): string {
  return (
    toHex(bytes ?? new Uint8Array())
      .toUpperCase()
      .match(/../g) ?? []
  ).join(':');
}

function secondsOf(time: Date): string {
  return time.toISOString().replace('T', ' ').replace('.000', '');
}

/** The attributes of one RDN have no order in text (RFC 4514, 2.2). */
function sorted(name: string): string {
  const relativeNames = name.split(/(?<!\\),/);
  return relativeNames
    .map((one) =>
      one
        .split(/(?<!\\)\+/)
        .sort()
        .join('+'),
    )
    .join(',');
}
