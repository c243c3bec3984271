import { createHash, randomBytes, webcrypto } from 'node:crypto';
import 'reflect-metadata';
import { X509CertificateGenerator } from '@peculiar/x509';
import { toBase64 } from '../../../core/bytes/encoding.ts';
import type { EnrolmentRequest } from '../../../core/messages/enrolment.ts';
import { activateCredential, parseCredentialBlob } from '../../../core/tpm/credential.ts';
import { EK_TEMPLATES } from '../../../core/tpm/endorsement-key.ts';
import { spkiOf } from '../../../core/tpm/key.ts';
import { computeName } from '../../../core/tpm/name.ts';
import { marshalTpm2bPublic } from '../../../core/tpm/public.ts';
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

let made = 0;

export async function softwareNode(changes: Partial<SoftwareNode> = {}): Promise<SoftwareNode> {
  const { objectAttributes, authPolicy, symmetric } = EK_TEMPLATES['L-2'];
  const ek = changes.ek ?? softwareEcc({ objectAttributes, authPolicy, symmetric, scheme: { type: 'null' } });
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

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
export const RSA_1024 = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 1024,
  publicExponent: Uint8Array.of(1, 0, 1),
  hash: 'SHA-256',
};

export async function tlsIdentity(
  name = 'node',
  algorithm: typeof P256 | typeof RSA_1024 = P256,
): Promise<TlsIdentity> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned(
    {
      name: `CN=${name}`,
      serialNumber: `00${randomBytes(8).toString('hex')}`,
      notBefore: new Date('2024-01-01'),
      notAfter: new Date('2044-01-01'),
      keys,
      signingAlgorithm: algorithm,
    },
    webcrypto,
  );
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    der: new Uint8Array(certificate.rawData),
    certificate: certificate.toString('pem'),
    key: `-----BEGIN PRIVATE KEY-----\n${pkcs8.toString('base64')}\n-----END PRIVATE KEY-----\n`,
  };
}
