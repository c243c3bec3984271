import { AssayError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { checkNodeCaCertificate } from '../../core/x509/node-ca.ts';
import { buildPath } from '../../core/x509/path.ts';

export interface NodeCaExpectation {
  /** DER, from the issuer. */
  readonly certificate: Uint8Array;
  /** DER of the issuing CA, then of the node root. */
  readonly chain: readonly Uint8Array[];
  readonly nodeId: string;
  readonly nodesDomain: string;
  readonly trustDomain: string;
  /** DER of the key that it must be for. */
  readonly spki: Uint8Array;
  readonly now: Date;
}

/** A node CA certificate of ours that chains to the root it came with. */
export interface CheckedNodeCa {
  readonly serial: string;
  readonly subject: string;
  readonly issuer: string;
  readonly notAfter: Date;
}

/**
 * The issuer is trusted, and known by its TLS certificate; this finds faults before SPIRE does, and keeps
 * a certificate that is wider than it should be from ever being used here.
 *
 * @throws {AssayError} `malformed` with every departure from the profile
 */
export function checkNodeCa(expected: NodeCaExpectation): CheckedNodeCa {
  const { nodeId, nodesDomain, trustDomain, spki: publicKeySpki, now } = expected;
  const certificate = parseCertificate(expected.certificate);
  const [issuingCa, root] = expected.chain.map((der) => parseCertificate(der));
  const findings = [
    ...checkNodeCaCertificate(certificate, { nodeId, nodesDomain, trustDomain, publicKeySpki }),
    ...pathFindings(certificate, issuingCa, root, now),
  ];
  if (findings.length > 0) {
    throw new AssayError('malformed', 'the issuer sent a certificate that a node must not use', {
      details: findings,
    });
  }
  const { serialHex: serial, subject, issuer, notAfter } = certificate;
  return { serial, subject: subject.text, issuer: issuer.text, notAfter };
}

function pathFindings(
  leaf: Certificate,
  issuingCa: Certificate | undefined,
  root: Certificate | undefined,
  at: Date,
): readonly Finding[] {
  if (issuingCa === undefined || root === undefined) {
    return [{ rule: 'issue.profile', message: 'the issuing CA or the node root did not come with it' }];
  }
  const result = buildPath({ leaf, intermediates: [issuingCa], anchors: [root], at });
  return result.ok ? [] : result.findings;
}
