import { certifySelf, type KeyedCertificate, type Validity } from './certify.ts';
import { basicConstraints, extKeyUsage, keyUsage, subjectAltName, USAGE } from './extensions.ts';
import { createKeyPair, type KeyPair } from './keys.ts';
import { commonNameOnly } from './names.ts';

export interface SelfSignedOptions extends Validity {
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** A new key on P-256 when left out. */
  readonly keyPair?: KeyPair;
}

/** A TLS certificate for an agent, server and client in one: trusted by its fingerprint, never by a chain. */
export async function createSelfSignedTlsCertificate(options: SelfSignedOptions): Promise<KeyedCertificate> {
  const { commonName, dnsNames, ipAddresses, notBefore, notAfter } = options;
  const extensions = [
    basicConstraints(false),
    keyUsage('digitalSignature'),
    extKeyUsage(USAGE.SERVER_AUTH, USAGE.CLIENT_AUTH),
    subjectAltName({ dnsNames, ipAddresses }),
  ];
  const keyPair = options.keyPair ?? (await createKeyPair('p256'));
  return certifySelf({ subject: commonNameOnly(commonName), notBefore, notAfter, extensions }, keyPair);
}
