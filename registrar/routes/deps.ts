import type { Database } from '../../platform/database/index.ts';
import type { EnrolmentLimits } from '../config.ts';
import type { TrustStore } from '../domain/trust-store.ts';
import type { Enrolments } from '../enrolments.ts';

/** Where the services are, for agents that know the registrar alone. */
export interface Discovery {
  readonly trustDomain: string;
  readonly nodesDomain: string;
  readonly registrar: string;
  readonly verifier: string;
  readonly issuer: string;
}

/** What the registrar's routes work with. */
export interface RoutesDeps {
  readonly database: Database;
  readonly enrolments: Enrolments;
  readonly trust: TrustStore;
  readonly limits: EnrolmentLimits;
  readonly discovery: Discovery;
  /** PEM of the service CA. */
  readonly serviceCa: string;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly newId: () => string;
}
