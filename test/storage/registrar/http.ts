import { randomBytes, webcrypto } from 'node:crypto';
import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { Agent, request } from 'undici';
import type { TlsIdentity } from './software-node.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

interface Issuer {
  readonly name: string;
  readonly pem: string;
  readonly keys: CryptoKeyPair;
}
type CryptoKeyPair = webcrypto.CryptoKeyPair;

/** A service CA and what it signs, for servers and clients of a test. */
export async function testServiceCa(name = 'Test Service CA') {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const extensions = [
    new BasicConstraintsExtension(true, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
  ];
  const pem = await sign({ name: `CN=${name}`, keys, extensions });
  const ca: Issuer = { name: `CN=${name}`, pem, keys };
  return {
    pem,
    server: () =>
      leaf(ca, 'registrar', [
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
      ]),
    role: (role: string, subject: string) => leaf(ca, subject, [{ type: 'url', value: `urn:assay:${role}` }]),
  };
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
  /** The JSON value; undefined when there is none. */
  readonly body: unknown;
}

/** A client with or without a certificate. */
export function client(url: string, ca: string, identity?: Pick<TlsIdentity, 'certificate' | 'key'>) {
  const dispatcher = new Agent({
    connect: { ca, ...(identity ? { cert: identity.certificate, key: identity.key } : {}) },
  });
  return {
    close: () => dispatcher.close(),
    async call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<Answer> {
      const isText = typeof body === 'string';
      const response = await request(new URL(path, url), {
        method,
        dispatcher,
        body: body === undefined ? null : isText ? body : JSON.stringify(body),
        headers: body === undefined ? {} : { 'content-type': isText ? 'text/csv' : 'application/json' },
      });
      const text = await response.body.text();
      const contentType = String(response.headers['content-type'] ?? '');
      return { status: response.statusCode, contentType, text, body: parse(text) };
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A text member of an answer, by its path. */
export function textAt({ body, text }: Answer, ...path: readonly string[]): string {
  let value = body;
  for (const name of path)
    value = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
  if (typeof value !== 'string') throw new Error(`no text at ${path.join('.')} of ${text}`);
  return value;
}

async function leaf(
  ca: Issuer,
  subject: string,
  names: ConstructorParameters<typeof SubjectAlternativeNameExtension>[0],
): Promise<{ certificate: string; key: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const extensions = [new SubjectAlternativeNameExtension(names)];
  const certificate = await sign({ name: `CN=${subject}`, keys, extensions, ca });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
  return { certificate, key: `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n` };
}

async function sign(options: {
  readonly name: string;
  readonly keys: CryptoKeyPair;
  readonly extensions: Extension[];
  readonly ca?: Issuer;
}): Promise<string> {
  const { name, keys, extensions, ca } = options;
  const certificate = await X509CertificateGenerator.create(
    {
      subject: name,
      issuer: ca?.name ?? name,
      serialNumber: `00${randomBytes(8).toString('hex')}`,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
      publicKey: keys.publicKey,
      signingKey: (ca?.keys ?? keys).privateKey,
      signingAlgorithm: ALGORITHM,
      extensions,
    },
    webcrypto,
  );
  return certificate.toString('pem');
}
