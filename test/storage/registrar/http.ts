import { Agent, request } from 'undici';
import { renderPem } from '../../../core/x509/pem.ts';
import {
  createServiceCa,
  issueClientCertificate,
  issueServerCertificate,
} from '../../../platform/pki/service-ca.ts';
import { type TlsIdentity, toIdentity, VALIDITY } from './software-node.ts';

/** A service CA and what it signs, for servers and clients of a test. */
export async function testServiceCa() {
  const ca = await createServiceCa({ commonName: 'Test Service CA', ...VALIDITY });
  const names = { commonName: 'registrar', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
  return {
    pem: renderPem('CERTIFICATE', ca.certificate.der),
    server: async () => toIdentity(await issueServerCertificate({ ca, ...names, ...VALIDITY })),
    role: async (role: string, commonName: string) =>
      toIdentity(await issueClientCertificate({ ca, commonName, roleUri: `urn:assay:${role}`, ...VALIDITY })),
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
