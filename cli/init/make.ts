import type { KeyedCertificate, Validity } from '../../platform/pki/certify.ts';
import { randomSerial, type SigningCa } from '../../platform/pki/keys.ts';
import { createIssuingCa } from '../../platform/pki/node-ca.ts';
import { issueServerCertificate, issueSigningCertificate } from '../../platform/pki/service-ca.ts';
import { RESULTS_URI } from '../../platform/results/signer.ts';
import type { ServiceName } from '../api.ts';
import type { HostNames } from './input.ts';

export const SERVICES = ['registrar', 'verifier', 'issuer'] as const satisfies readonly ServiceName[];

const DAY_MS = 86_400_000;
const BACKDATED_MS = 300_000;

export const LIFETIME_DAYS = {
  nodeRoot: 7300,
  issuingCa: 1825,
  serviceCa: 3650,
  server: 365,
  admin: 365,
} as const;

/** From a little before `now`, for machines whose clock is behind ours. */
export function validFor(days: number, now: Date, latest?: Date): Validity {
  const notAfter = new Date(now.getTime() + days * DAY_MS);
  return {
    notBefore: new Date(now.getTime() - BACKDATED_MS),
    notAfter: latest !== undefined && latest < notAfter ? latest : notAfter,
  };
}

export interface MakeContext {
  readonly now: Date;
  readonly random: (size: number) => Uint8Array;
}

/** A service's server certificate; each is also the client certificate by which the others know the service. */
export function makeServerCertificate(
  ca: SigningCa,
  service: ServiceName,
  names: HostNames,
  { now, random }: MakeContext,
): Promise<KeyedCertificate> {
  return issueServerCertificate({
    ...names,
    ...validFor(LIFETIME_DAYS.server, now, ca.certificate.notAfter),
    ca,
    commonName: `assay ${service}`,
    roleUri: `urn:assay:service:${service}`,
    serial: randomSerial(random),
  });
}

/** The key by which the verifier signs results and evidence bundles. */
export function makeResultsCertificate(
  ca: SigningCa,
  { now, random }: MakeContext,
): Promise<KeyedCertificate> {
  return issueSigningCertificate({
    ca,
    commonName: 'assay verifier results',
    roleUri: RESULTS_URI,
    serial: randomSerial(random),
    ...validFor(LIFETIME_DAYS.server, now, ca.certificate.notAfter),
  });
}

/** The issuing CA of a group; it names the group for people, the pin is its key. */
export function makeIssuingCa(root: SigningCa, group: string, now: Date): Promise<KeyedCertificate> {
  return createIssuingCa({
    root,
    group,
    ...validFor(LIFETIME_DAYS.issuingCa, now, root.certificate.notAfter),
  });
}
