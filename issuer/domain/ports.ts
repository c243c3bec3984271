import type { KeyMode } from '../../platform/database/schema.ts';
import type { IssueDecision, IssueFacts } from './decision.ts';

/** A node as the registrar recorded it: what a request is verified against. */
export interface IssuedNode {
  readonly id: string;
  readonly version: number;
  /** TPM2B_PUBLIC of the endorsement key. */
  readonly ekPublic: Uint8Array;
  /** TPM2B_PUBLIC of the attestation key. */
  readonly akPublic: Uint8Array;
}

/** A request that is verified, and for which a key and a serial number stand ready. */
export interface PreparedIssue {
  readonly nodeId: string;
  /** The record version that the request was verified against. */
  readonly nodeVersion: number;
  readonly nonceSha256: Uint8Array;
  readonly serial: Uint8Array;
  readonly keyMode: KeyMode;
  readonly subjectSpkiSha256: Uint8Array;
}

interface RecordedIssue {
  readonly groupName: string;
  readonly tier: 'full' | null;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

interface IssueRules {
  readonly decide: (facts: IssueFacts) => IssueDecision;
  /** SHA-256 of the issuing CA's certificate that signs for a group, or for its nodes of the full tier. */
  readonly authorityOf: (groupName: string, tier: 'full' | null) => Uint8Array;
}

export interface IssueStore {
  findNode(nodeId: string): Promise<IssuedNode | undefined>;
  /**
   * The transaction of rule `issue.fresh`: under the locks of the node and of its trust it spends the challenge, asks
   * `decide`, and records the certificate. When it returns, the record is committed and nothing is signed yet.
   *
   * @throws {AssayError} `challenge-unknown`, `challenge-expired`, or what the decision refused
   */
  record(prepared: PreparedIssue, rules: IssueRules): Promise<RecordedIssue>;
  /** Keeps the signed certificate beside its record. */
  keep(serial: Uint8Array, der: Uint8Array): Promise<void>;
}
