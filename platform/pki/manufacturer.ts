import type { Certificate } from '../../core/x509/certificate.ts';
import { EK_CERTIFICATE_USAGE, type TpmIdentity } from '../../core/x509/ek-profile.ts';
import { ATTRIBUTE } from '../../core/x509/name.ts';
import { certify, createRoot, type KeyedCertificate, type Validity } from './certify.ts';
import { basicConstraints, directoryAltName, extKeyUsage, keyUsage } from './extensions.ts';
import type { SigningCa } from './keys.ts';
import { distinguishedName } from './names.ts';

/** A CA that stands in for a TPM manufacturer's, in the demo and in simulations. */
export async function createManufacturerCa(
  options: Validity & { readonly commonName: string },
): Promise<KeyedCertificate> {
  return createRoot(options, 0);
}

export interface EkCertificateOptions extends Validity {
  readonly ca: SigningCa;
  /** DER of the EK. */
  readonly ekSpki: Uint8Array;
  readonly keyType: 'rsa' | 'ecc';
  readonly tpm: TpmIdentity;
  readonly serial?: Uint8Array;
}

/** An EK certificate (TCG EK Credential Profile 2.5, 3.2) with an empty subject. */
export async function createEkCertificate(options: EkCertificateOptions): Promise<Certificate> {
  const { ca, ekSpki: spki, keyType, tpm, serial, notBefore, notAfter } = options;
  const extensions = [
    basicConstraints(false),
    keyUsage(keyType === 'rsa' ? 'keyEncipherment' : 'keyAgreement'),
    extKeyUsage(EK_CERTIFICATE_USAGE),
    directoryAltName([
      [ATTRIBUTE.TPM_MANUFACTURER, tpm.manufacturer],
      [ATTRIBUTE.TPM_MODEL, tpm.model],
      [ATTRIBUTE.TPM_VERSION, tpm.version],
    ]),
  ];
  return certify({ subject: distinguishedName([]), spki, serial, notBefore, notAfter, extensions }, ca);
}
