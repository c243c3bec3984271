import type { Certificate } from '../../core/x509/certificate.ts';
import {
  type CertificateSpec,
  certify,
  createRoot,
  type KeyedCertificate,
  type Validity,
} from './certify.ts';
import {
  type AltNames,
  basicConstraints,
  extKeyUsage,
  keyUsage,
  subjectAltName,
  USAGE,
} from './extensions.ts';
import { createKeyPair, type SigningCa, signWith } from './keys.ts';
import { commonNameOnly } from './names.ts';

/** The CA of the services and of their administrators: nodes never have a certificate from it. */
export async function createServiceCa(
  options: Validity & { readonly commonName: string },
): Promise<KeyedCertificate> {
  return createRoot(options, 0);
}

export interface ServerCertificateOptions extends Validity {
  readonly ca: SigningCa;
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** Such as `urn:assay:service:verifier`; a service that has one may also be a client. */
  readonly roleUri?: string;
  readonly serial?: Uint8Array;
}

/** A TLS server certificate with a new key. */
export async function issueServerCertificate(options: ServerCertificateOptions): Promise<KeyedCertificate> {
  const { dnsNames, ipAddresses, roleUri } = options;
  const uris = roleUri === undefined ? [] : [roleUri];
  const usages = roleUri === undefined ? [USAGE.SERVER_AUTH] : [USAGE.SERVER_AUTH, USAGE.CLIENT_AUTH];
  return issueEndEntity(options, { dnsNames, ipAddresses, uris }, usages);
}

export interface ClientCertificateOptions extends Validity {
  readonly ca: SigningCa;
  readonly commonName: string;
  /** Such as `urn:assay:role:admin`. */
  readonly roleUri: string;
  readonly serial?: Uint8Array;
}

/** A TLS client certificate with a new key. */
export async function issueClientCertificate(options: ClientCertificateOptions): Promise<KeyedCertificate> {
  return issueEndEntity(options, { uris: [options.roleUri] }, [USAGE.CLIENT_AUTH]);
}

/** A certificate for a new key that signs documents of a service, and cannot be used in TLS. */
export async function issueSigningCertificate(options: ClientCertificateOptions): Promise<KeyedCertificate> {
  return issueEndEntity(options, { uris: [options.roleUri] }, [USAGE.DOCUMENT_SIGNING]);
}

async function issueEndEntity(
  options: Validity & { readonly ca: SigningCa; readonly commonName: string; readonly serial?: Uint8Array },
  names: AltNames,
  usages: readonly string[],
): Promise<KeyedCertificate> {
  const { publicKey, privateKey } = await createKeyPair('p256');
  const certificate = await certifyEndEntity(options.ca, {
    subject: commonNameOnly(options.commonName),
    spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
    serial: options.serial,
    notBefore: options.notBefore,
    notAfter: options.notAfter,
    extensions: [extKeyUsage(...usages), subjectAltName(names)],
  });
  return { certificate, privateKey, sign: signWith(privateKey) };
}

function certifyEndEntity(ca: SigningCa, spec: CertificateSpec): Promise<Certificate> {
  const extensions = [basicConstraints(false), keyUsage('digitalSignature'), ...spec.extensions];
  return certify({ ...spec, extensions }, ca);
}
