import { toHex } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import type { Certificate } from '../../core/x509/certificate.ts';
import { checkNodeCaCertificate } from '../../core/x509/node-ca.ts';
import type { RevocationUrls } from '../../platform/pki/extensions.ts';
import type { NodeCaRequest } from './signer.ts';

export interface NameSpaces {
  readonly trustDomain: string;
  readonly nodesDomain: string;
  /** Where a certificate says that its status can be asked; absent: it says nothing of it. */
  readonly revocation?: RevocationUrls | undefined;
}

/**
 * The last look before a certificate leaves (rule `issue.profile`): it says what was recorded and nothing else,
 * whoever signed it.
 *
 * @throws {AssayError} `unavailable`: the fault is ours, and nothing leaves
 */
export function checkIssued(
  certificate: Certificate,
  issuingCa: Certificate,
  request: NodeCaRequest,
  names: NameSpaces,
): void {
  const { nodeId, spki: publicKeySpki, notAfter, notBefore, serial } = request;
  const problems = [...checkNodeCaCertificate(certificate, { ...names, nodeId, publicKeySpki, notAfter })];
  const add = (message: string) => problems.push({ rule: 'issue.profile', message });
  if (certificate.serialHex !== toHex(serial)) add('its serial number is not the recorded one');
  if (!sameTime(certificate.notAfter, notAfter) || !sameTime(certificate.notBefore, notBefore)) {
    add('its dates are not the recorded ones');
  }
  const { crlDistributionPoints = [], authorityInfoAccess } = certificate;
  const pointers = [...crlDistributionPoints, ...(authorityInfoAccess?.ocsp ?? [])].join(' ');
  const { revocation } = names;
  if (pointers !== (revocation ? `${revocation.crl} ${revocation.ocsp}` : ''))
    add('it names other places to ask for its status than were configured');
  if (certificate.notAfter > issuingCa.notAfter) add('it outlives its issuing CA, which is to be replaced');
  if (problems.length === 0) return;
  throw new AssayError('unavailable', 'the certificate that was made cannot be given out', {
    details: problems,
  });
}

function sameTime(a: Date, b: Date): boolean {
  return a.getTime() === b.getTime();
}
