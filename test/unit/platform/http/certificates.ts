import 'reflect-metadata';
import { hash, type webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

export interface Identity {
  readonly certificate: string;
  readonly key: string;
  readonly sha256: Uint8Array;
}

export interface Authority extends Identity {
  issue(name: string, options?: { uris?: readonly string[]; notAfter?: Date }): Promise<Identity>;
}

interface Names {
  readonly uris?: readonly string[];
  readonly notAfter?: Date;
}

/** A CA made for a test. */
export async function createAuthority(name: string): Promise<Authority> {
  const keys = await generate();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: `CN=${name}`,
    serialNumber: '01',
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  let serial = 1;
  return {
    ...(await identityOf(certificate, keys)),
    async issue(subject, names = {}) {
      const subjectKeys = await generate();
      serial += 1;
      const issued = await x509.X509CertificateGenerator.create({
        ...validity(names.notAfter),
        subject: `CN=${subject}`,
        issuer: certificate.subject,
        serialNumber: serial.toString(16).padStart(4, '0'),
        publicKey: subjectKeys.publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm: ALGORITHM,
        extensions: [sanOf(names)],
      });
      return identityOf(issued, subjectKeys);
    },
  };
}

/** What a node shows: nobody vouches for it. */
export async function createSelfSigned(name: string, names: Names = {}): Promise<Identity> {
  const keys = await generate();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity(),
    name: `CN=${name}`,
    serialNumber: '02',
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [sanOf(names)],
  });
  return identityOf(certificate, keys);
}

function generate(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function validity(notAfter = new Date(Date.now() + DAY_MS)) {
  return { notBefore: new Date(Date.now() - DAY_MS), notAfter };
}

function sanOf({ uris = [] }: Names) {
  return new x509.SubjectAlternativeNameExtension([
    { type: 'dns', value: 'localhost' },
    { type: 'ip', value: '127.0.0.1' },
    ...uris.map((value) => ({ type: 'url' as const, value })),
  ]);
}

async function identityOf(
  certificate: x509.X509Certificate,
  keys: webcrypto.CryptoKeyPair,
): Promise<Identity> {
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return {
    certificate: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`,
    sha256: new Uint8Array(hash('sha256', Buffer.from(certificate.rawData), 'buffer')),
  };
}
