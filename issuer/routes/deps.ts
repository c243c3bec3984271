import type { RandomBytes } from '../../core/tpm/seed.ts';
import type { Database } from '../../platform/database/index.ts';
import type { Metrics } from '../../platform/metrics.ts';
import type { IssuerConfig } from '../config.ts';
import type { CrlStore } from '../crl/publisher.ts';
import type { IssueStore } from '../domain/ports.ts';
import type { OcspAnswers, ocspResponder } from '../ocsp/responder.ts';
import type { Authorities } from '../signer/authorities.ts';
import type { SpirePlace } from '../spire/places.ts';
import type { ChallengeStore } from '../store/challenges.ts';

/** What the issuer's routes work with. */
export interface RoutesDeps {
  readonly config: IssuerConfig;
  readonly trustDomain: string;
  readonly nodesDomain: string;
  readonly database: Database;
  readonly authorities: Authorities;
  readonly issues: IssueStore;
  readonly challenges: ChallengeStore;
  readonly crls: CrlStore;
  readonly ocsp: ReturnType<typeof ocspResponder>;
  readonly metrics: IssuerMetrics;
  readonly randomBytes: RandomBytes;
  readonly spire: readonly SpirePlace[];
  readonly clock: () => Date;
}

export interface IssuerMetrics {
  /** By group and key mode. */
  issued(group: string, keyMode: string): void;
  /** By error code and rule. */
  refused(code: string, rule: string): void;
  /** By what was said of a certificate, or why nothing was. */
  ocsp(outcome: OcspAnswers['outcomes'][number]): void;
}

export function issuerMetrics(metrics: Metrics, { signers }: Authorities): IssuerMetrics {
  const expiry = metrics.gauge('issuer_authority_expiry_seconds', 'When an issuing CA expires (Unix time)', [
    'authority',
  ]);
  for (const [authority, { notAfter }] of signers) expiry.set({ authority }, notAfter.getTime() / 1000);
  const issued = metrics.counter('issuer_certificates_total', 'Certificates given to nodes', [
    'group',
    'key_mode',
  ]);
  const refused = metrics.counter('issuer_refusals_total', 'Requests for a certificate that were refused', [
    'code',
    'rule',
  ]);
  const ocsp = metrics.counter('issuer_ocsp_answers_total', 'What was said of certificates by OCSP', [
    'outcome',
  ]);
  return {
    ocsp: (outcome) => ocsp.inc({ outcome }),
    issued: (group, keyMode) => issued.inc({ group, key_mode: keyMode }),
    refused: (code, rule) => refused.inc({ code, rule }),
  };
}
