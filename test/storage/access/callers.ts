import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCertificate } from '../../../core/x509/certificate.ts';
import { parsePem } from '../../../core/x509/pem.ts';
import type { Database } from '../../../platform/database/index.ts';
import { readKeyFile } from '../../../platform/pki/key-file.ts';
import { type SigningCa, signWith } from '../../../platform/pki/keys.ts';
import { issueClientCertificate } from '../../../platform/pki/service-ca.ts';
import { createAuthority, createSelfSigned } from '../../unit/platform/http/certificates.ts';
import { addNode, pass, sha256 } from '../issuer/fixture.ts';
import { type TlsIdentity, tlsIdentity, toIdentity } from '../registrar/software-node.ts';

/** Who calls: what is shown in TLS, and what the services must take it for. */
export interface Caller {
  readonly identity?: Pick<TlsIdentity, 'certificate' | 'key'>;
  /** An entry of `x-access`; undefined: nobody that is known. */
  readonly role: string | undefined;
}

export const CALLERS = [
  'no certificate',
  'an admin of another CA',
  'a self-signed admin',
  'a node that never enrolled',
  'a certificate of ours without a role',
  'an expired admin',
  'an enrolled node',
  'a viewer',
  'an admin',
  'the registrar',
  'the verifier',
  'the issuer',
] as const;
export type CallerName = (typeof CALLERS)[number];

const DAY_MS = 86_400_000;

/** Each caller once, for an installation in `directory`. */
export async function createCallers(
  directory: string,
  node: Caller,
): Promise<Readonly<Record<CallerName, Caller>>> {
  const ca = await serviceCa(directory);
  const admin = { uris: ['urn:assay:role:admin'] };
  const other = await createAuthority(ca.certificate.subject.text.replace('CN=', ''));
  const role = async (name: string) => ({
    identity: await issue(ca, `urn:assay:${name}`),
    role: nameOf(name),
  });
  return {
    'no certificate': { role: undefined },
    'an admin of another CA': { identity: await other.issue('admin', admin), role: undefined },
    'a self-signed admin': { identity: await createSelfSigned('admin', admin), role: undefined },
    'a node that never enrolled': { identity: await tlsIdentity(), role: undefined },
    'a certificate of ours without a role': {
      identity: await issue(ca, 'urn:assay:role:root'),
      role: undefined,
    },
    'an expired admin': {
      identity: await issue(ca, 'urn:assay:role:admin', new Date(Date.now() - DAY_MS)),
      role: undefined,
    },
    'an enrolled node': node,
    'a viewer': await role('role:viewer'),
    'an admin': await role('role:admin'),
    'the registrar': await role('service:registrar'),
    'the verifier': await role('service:verifier'),
    'the issuer': await role('service:issuer'),
  };
}

export interface EnrolledNode extends Caller {
  readonly id: string;
}

/** A node as the registrar records it, admitted and trusted. */
export async function enrolledNode(database: Database): Promise<EnrolledNode> {
  const identity = await tlsIdentity();
  const { id } = await addNode(database, { tls_certificate: identity.der, tls_sha256: sha256(identity.der) });
  await pass(database, id);
  return { id, identity, role: 'node' };
}

async function serviceCa(directory: string): Promise<SigningCa> {
  const pem = readFileSync(join(directory, 'pki/service-ca.crt'), 'utf8');
  return {
    certificate: parseCertificate(parsePem('CERTIFICATE', pem)),
    sign: signWith(await readKeyFile(join(directory, 'pki/service-ca.key'))),
  };
}

async function issue(ca: SigningCa, roleUri: string, notAfter = new Date(Date.now() + DAY_MS)) {
  const notBefore = new Date(Date.now() - 2 * DAY_MS);
  return toIdentity(await issueClientCertificate({ ca, commonName: 'caller', roleUri, notBefore, notAfter }));
}

function nameOf(role: string): string {
  return role.replace('role:', '');
}
