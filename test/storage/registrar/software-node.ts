import { createHash } from 'node:crypto';
import { toBase64 } from '../../../core/bytes/encoding.ts';
import type { EnrolmentRequest } from '../../../core/messages/enrolment.ts';
import { activateCredential, parseCredentialBlob } from '../../../core/tpm/credential.ts';
import { EK_TEMPLATES } from '../../../core/tpm/endorsement-key.ts';
import { spkiOf } from '../../../core/tpm/key.ts';
import { computeName } from '../../../core/tpm/name.ts';
import { marshalTpm2bPublic } from '../../../core/tpm/public.ts';
import { renderPem } from '../../../core/x509/pem.ts';
import type { KeyedCertificate } from '../../../platform/pki/certify.ts';
import { createSelfSignedTlsCertificate } from '../../../platform/pki/self-signed.ts';
import { type SoftwareKey, softwareEcc } from '../../unit/core/tpm/software-key.ts';

/** What registers: an EK and an AK in software, a TLS identity, a name. */
export interface SoftwareNode {
  readonly alias: string;
  readonly ek: SoftwareKey;
  readonly ak: SoftwareKey;
  readonly ekSpki: Uint8Array;
  /** Hex SHA-256 of the EK's SubjectPublicKeyInfo. */
  readonly ekSha256: string;
  readonly tls: TlsIdentity;
  /** DER, the EK certificate first. */
  readonly certificates: readonly Uint8Array[];
}

export interface TlsIdentity {
  readonly der: Uint8Array;
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
}

/** Of every certificate in these tests. */
export const VALIDITY = { notBefore: new Date('2024-01-01'), notAfter: new Date('2044-01-01') };

let made = 0;

export async function softwareNode(changes: Partial<SoftwareNode> = {}): Promise<SoftwareNode> {
  const ek = changes.ek ?? softwareEk();
  const ekSpki = spkiOf(ek.publicArea);
  made += 1;
  return {
    alias: `node-${made}`,
    ak: softwareEcc(),
    tls: changes.tls ?? (await tlsIdentity()),
    certificates: [],
    ...changes,
    ek,
    ekSpki,
    ekSha256: createHash('sha256').update(ekSpki).digest('hex'),
  };
}

/** An EK of the template L-2. */
export function softwareEk(): SoftwareKey {
  const { objectAttributes, authPolicy, symmetric } = EK_TEMPLATES['L-2'];
  return softwareEcc({ objectAttributes, authPolicy, symmetric, scheme: { type: 'null' } });
}

/** The request that our agent would send for this node. */
export function enrolmentRequest(node: SoftwareNode, joinToken?: string): EnrolmentRequest {
  return {
    alias: node.alias,
    ekPublic: toBase64(marshalTpm2bPublic(node.ek.publicArea)),
    ekCertificates: node.certificates.map(toBase64),
    akPublic: toBase64(marshalTpm2bPublic(node.ak.publicArea)),
    tlsCertificate: toBase64(node.tls.der),
    contact: { host: '127.0.0.1', port: 9002 },
    ...(joinToken === undefined ? {} : { joinToken }),
  };
}

/** TPM2_ActivateCredential of the node's TPM: the secret, or an error when the credential is another's. */
export function openBlob(node: SoftwareNode, blob: Uint8Array): Uint8Array {
  return activateCredential({
    ek: node.ek.publicArea,
    ekPrivate: node.ek.privateKey,
    objectName: computeName(node.ak.publicArea),
    credential: parseCredentialBlob(blob),
  });
}

export async function tlsIdentity(commonName = 'node'): Promise<TlsIdentity> {
  const names = { dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] };
  return toIdentity(await createSelfSignedTlsCertificate({ commonName, ...names, ...VALIDITY }));
}

export function toIdentity({ certificate, privateKey }: KeyedCertificate): TlsIdentity {
  return {
    der: certificate.der,
    certificate: renderPem('CERTIFICATE', certificate.der),
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
  };
}
