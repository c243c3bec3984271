import { AssayError } from '../errors.ts';
import type { Finding } from '../finding.ts';
import type { Certificate } from '../x509/certificate.ts';
import { buildPath } from '../x509/path.ts';
import { parseSpiffeId, renderSpiffeId, type SpiffeId } from './id.ts';

export interface X509SvidRequest {
  readonly leaf: Certificate;
  /** What the peer sent beside it. Not trusted. */
  readonly intermediates: readonly Certificate[];
  /** The anchors of a trust domain; undefined when it is not known here. */
  readonly bundleOf: (trustDomain: string) => readonly Certificate[] | undefined;
  readonly at: Date;
}

export type X509SvidResult =
  | { readonly ok: true; readonly id: SpiffeId }
  | { readonly ok: false; readonly findings: readonly Finding[] };

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

/**
 * Validates an X509-SVID (X509-SVID, 5.2) for either end of TLS: exactly one URI, a leaf that signs no certificates, and
 * a path to the bundle of the trust domain that its own ID names, so that no trust domain speaks for another.
 *
 * Says nothing of what that ID may do.
 */
export function verifyX509Svid({ leaf, intermediates, bundleOf, at }: X509SvidRequest): X509SvidResult {
  const refuse = (message: string) => ({ ok: false, findings: [{ rule: 'svid.id', message }] }) as const;
  let id: SpiffeId;
  try {
    id = spiffeIdOf(leaf);
  } catch (error) {
    if (!(error instanceof AssayError)) throw error;
    return refuse(error.message);
  }
  const anchors = bundleOf(id.trustDomain);
  if (!anchors) return refuse(`${renderSpiffeId(id)} is of a trust domain whose bundle is not here`);
  const path = buildPath({ leaf, intermediates, anchors, at });
  const findings = [...leafFindings(leaf), ...(path.ok ? [] : path.findings)];
  return findings.length === 0 ? { ok: true, id } : { ok: false, findings };
}

/**
 * The SPIFFE ID in a certificate: its only URI name (X509-SVID, 2). Nothing says yet that it is true.
 *
 * @throws {AssayError} `malformed`
 */
export function spiffeIdOf({ subjectAltName = [] }: Pick<Certificate, 'subjectAltName'>): SpiffeId {
  const uris = subjectAltName.flatMap((name) => (name.type === 'uri' ? [name.value] : []));
  if (uris.length !== 1)
    throw new AssayError(
      'malformed',
      `an X509-SVID has exactly one URI name; this certificate has ${uris.length}`,
    );
  return parseSpiffeId(uris[0] ?? '');
}

function leafFindings({ basicConstraints, keyUsage, extKeyUsage }: Certificate): readonly Finding[] {
  const rule = 'svid.leaf';
  const signs = keyUsage?.has('keyCertSign') || keyUsage?.has('cRLSign');
  const usages = [SERVER_AUTH, CLIENT_AUTH].every((usage) => extKeyUsage?.includes(usage));
  return [
    ...(basicConstraints?.ca ? [{ rule, message: 'the SVID is a CA' }] : []),
    ...(signs ? [{ rule, message: 'the key of the SVID may sign certificates or CRLs' }] : []),
    ...(keyUsage?.has('digitalSignature')
      ? []
      : [{ rule, message: 'the key usage of the SVID is not digitalSignature' }]),
    ...(extKeyUsage === undefined || usages
      ? []
      : [{ rule, message: 'the SVID is not for both ends of TLS (serverAuth, clientAuth)' }]),
  ];
}
