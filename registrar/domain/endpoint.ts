import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { equalBytes, printable } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$/;
const MIN_RSA_BITS = 2048;

/** @throws {AssayError} `invalid-request` unless the host is a name or an address and nothing else */
export function checkContact({ host, port }: { readonly host: string; readonly port: number }): void {
  if (isIP(host) === 0 && !HOST_NAME.test(host)) {
    throw new AssayError('invalid-request', `the contact host "${printable(host)}" is no name or address`);
  }
  if (!Number.isInteger(port) || port < 1 || port > 65535) {
    throw new AssayError('invalid-request', `the contact port ${port} is none`);
  }
}

/**
 * Whether verifier and issuer can know the node by this certificate: it is one certificate, whole, with a key that TLS
 * takes. Who issued it and for how long means nothing, since it is compared as a whole.
 *
 * @throws {AssayError} `identity-refused`
 */
export function checkTlsCertificate(der: Uint8Array): void {
  const certificate = parse(der);
  if (!certificate || !equalBytes(certificate.raw, der)) {
    throw refused('the TLS certificate cannot be read as one DER certificate');
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
  if (type === 'ec' || type === 'ed25519') return;
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= MIN_RSA_BITS) return;
  throw refused(
    `the key of the TLS certificate is ${type}; ECDSA, Ed25519 or RSA of ${MIN_RSA_BITS} bits expected`,
  );
}

function parse(der: Uint8Array): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(der);
    // Throws for a key that OpenSSL cannot read.
    return certificate.publicKey ? certificate : undefined;
  } catch {
    return undefined;
  }
}

function refused(message: string): AssayError {
  return new AssayError('identity-refused', message, { details: [{ rule: 'tls.certificate', message }] });
}
