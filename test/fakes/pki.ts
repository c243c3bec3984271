import { hash } from 'node:crypto';
import { renderPem } from '../../core/x509/pem.ts';
import type { KeyedCertificate } from '../../platform/pki/certify.ts';
import { createIssuingCa, createNodeRoot } from '../../platform/pki/node-ca.ts';
import {
  createServiceCa,
  issueClientCertificate,
  issueServerCertificate,
} from '../../platform/pki/service-ca.ts';

/** Certificate and key, PEM. */
export interface PemIdentity {
  readonly certificate: string;
  readonly key: string;
}

/** What `assay init` makes, in memory. */
export interface TestPki {
  readonly serviceCa: KeyedCertificate & { readonly pem: string; readonly pin: string };
  readonly server: PemIdentity;
  readonly root: KeyedCertificate;
  readonly issuingCa: KeyedCertificate;
  /** A certificate of the service CA with a role, such as `urn:assay:role:admin`. */
  client(roleUri: string): Promise<PemIdentity>;
}

const DAY_MS = 24 * 3_600_000;

export async function testPki(now = Date.now()): Promise<TestPki> {
  const validity = { notBefore: new Date(now - DAY_MS), notAfter: new Date(now + DAY_MS) };
  const ca = await createServiceCa({ ...validity, commonName: 'test service CA' });
  const root = await createNodeRoot({ ...validity, commonName: 'test node root' });
  const server = await issueServerCertificate({
    ...{ ...validity, ca, commonName: 'localhost', dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] },
  });
  return {
    serviceCa: { ...ca, pem: pemOf(ca), pin: hash('sha256', ca.certificate.spki) },
    server: identityOf(server),
    root,
    issuingCa: await createIssuingCa({ ...validity, root, group: 'web' }),
    client: async (roleUri) =>
      identityOf(await issueClientCertificate({ ...validity, ca, commonName: 'client', roleUri })),
  };
}

export function identityOf(made: KeyedCertificate): PemIdentity {
  return {
    certificate: pemOf(made),
    key: made.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function pemOf({ certificate }: KeyedCertificate): string {
  return renderPem('CERTIFICATE', certificate.der);
}
