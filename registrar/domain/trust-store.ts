import type { Finding } from '../../core/finding.ts';
import type { JudgeEkCertificate } from './identity.ts';

/** Whether an EK certificate would be accepted, for people. */
export interface TrustCheck {
  readonly ok: boolean;
  /** Subjects, from the certificate to the trust anchor. */
  readonly path: string[];
  readonly findings: Finding[];
  /** Known encoding faults that were tolerated. */
  readonly faults: string[];
  readonly missingIssuer?: MissingIssuer;
}

/** The certificate that would complete a path. */
export interface MissingIssuer {
  readonly subject: string;
  /** Authority key identifier, hex. */
  readonly keyId: string | null;
  /** Where the certificate says its issuer can be fetched. */
  readonly urls: string[];
}

/** What is trusted now. */
export interface TrustStore {
  /** Judges by what is trusted at this moment. */
  judge(): Promise<JudgeEkCertificate>;
  /** @throws {ParseError} unless `pem` holds certificates, the EK certificate first */
  check(pem: string): Promise<TrustCheck>;
  /** Forgets what was read; the next call reads it again. */
  reload(): void;
}
