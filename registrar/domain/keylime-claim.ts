import { fromBase64 } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import type { RegistrationRequest } from '../../core/messages/keylime/messages.ts';
import { parsePemBundle } from '../../core/x509/pem.ts';
import type { IdentityClaim } from './identity.ts';

const PEM = '-----BEGIN ';
// What agents without an EK certificate have sent in this place.
const NO_CERTIFICATE = new Set(['', 'emulator']);
const NO_TLS = 'disabled';

/**
 * The claim in a registration of Keylime's: certificates are base64 DER, PEM, or a PEM bundle with the EK certificate
 * first. IAK and IDevID are not used.
 *
 * @throws {ParseError} for certificates that are neither
 * @throws {AssayError} `invalid-request` without an address
 */
export function keylimeClaim(alias: string, apiVersion: string, body: RegistrationRequest): IdentityClaim {
  const { ip, port } = body;
  if (ip === undefined || ip === null || port === undefined || port === null) {
    throw new AssayError('invalid-request', 'ip and port, where the agent answers, are expected');
  }
  return {
    alias,
    ekPublic: fromBase64(body.ek_tpm, 'ek_tpm'),
    ekCertificates: certificates(body.ekcert ?? '', 'ekcert'),
    akPublic: fromBase64(body.aik_tpm, 'aik_tpm'),
    tlsCertificate: tlsCertificate(body.mtls_cert ?? NO_TLS),
    contact: { host: ip, port },
    apiVersion,
    tokenSha256: null,
  };
}

function certificates(text: string, field: string): readonly Uint8Array[] {
  if (NO_CERTIFICATE.has(text)) return [];
  return text.trimStart().startsWith(PEM) ? parsePemBundle(text) : [fromBase64(text, field)];
}

function tlsCertificate(text: string): Uint8Array | null {
  if (text === NO_TLS || text === '') return null;
  const [certificate, ...others] = certificates(text, 'mtls_cert');
  if (!certificate || others.length > 0) {
    throw new AssayError('invalid-request', 'mtls_cert must be one certificate, or "disabled"');
  }
  return certificate;
}
