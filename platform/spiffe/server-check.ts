import type { PeerCertificate } from 'node:tls';
import { AssayError } from '../../core/errors.ts';
import { parseSpiffePattern, renderSpiffeId } from '../../core/spiffe/id.ts';
import { spiffeIdOf } from '../../core/spiffe/x509-svid.ts';
import { parseCertificate } from '../../core/x509/certificate.ts';

/**
 * TLS options for a server that shows an X509-SVID: the ID is what is checked in place of the host name, which it does
 * not have. The chain is checked beside it, against the `ca` of the connection.
 *
 * @param pattern see parseSpiffePattern
 */
export function serverIdentity(pattern: string) {
  const isWanted = parseSpiffePattern(pattern);
  return {
    minVersion: 'TLSv1.2' as const,
    checkServerIdentity(_host: string, { raw }: PeerCertificate): Error | undefined {
      try {
        const id = spiffeIdOf(parseCertificate(raw));
        if (isWanted(id)) return undefined;
        return new Error(`the server shows ${renderSpiffeId(id)}, expected ${pattern}`);
      } catch (cause) {
        if (!(cause instanceof AssayError)) throw cause;
        return new Error(`the server shows no SPIFFE ID, expected ${pattern}: ${cause.message}`, { cause });
      }
    },
  };
}
