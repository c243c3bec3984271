import type { Finding } from '../../core/finding.ts';
import type { TpmsClockInfo } from '../../core/tpm/attest.ts';
import type { Reaction } from '../../policies/policy.ts';
import type { StoredEvidence } from '../domain/evidence.ts';
import type { ImaProgress } from '../domain/ima-progress.ts';
import type { KnownLogs } from '../transport/evidence-source.ts';
import type { NodeRecord } from './polled-node.ts';

/** Under what a verdict was reached. It is void when the record or the epoch has moved on since. */
interface JudgedFor {
  readonly record: NodeRecord;
  readonly epoch: number;
  /** When the nonce was made, by this process's clock; nothing that is learned is younger. */
  readonly askedAt: number;
  /** Absent when none is assigned. */
  readonly policy?: { readonly name: string; readonly version: number };
}

/** Trust goes on: the node passed, or failed a policy that only reports. */
export interface Extension extends JudgedFor {
  readonly kind: 'extend';
  readonly outcome: 'pass' | 'fail';
  readonly findings: readonly Finding[];
  readonly trustForMs: number;
  readonly clock: TpmsClockInfo;
  readonly rebooted: boolean;
  readonly resumed: boolean;
  readonly evidence: StoredEvidence;
  /** How much of the measurement list is proven and judged; absent: it is to be shown from its beginning. */
  readonly ima?: ImaProgress;
  /** Boot logs that were judged and are kept: they need not be sent again. */
  readonly boot?: KnownLogs;
  /** Which pass of the node this is since this process took it over: the first is 0. */
  readonly passNumber: number;
  /** Somebody asked for this evidence: it is kept, however few others are. */
  readonly wanted: boolean;
}

/** Nothing was decided: trust runs out by itself. */
export interface Undecided extends JudgedFor {
  readonly kind: 'undecided';
  readonly findings: readonly Finding[];
}

/** Trust ends now. */
export interface Failure extends JudgedFor {
  readonly kind: 'fail';
  readonly findings: readonly Finding[];
  readonly effect: Exclude<Reaction, 'report'>;
  /** Of evidence that was sound: what later quotes are compared with. */
  readonly clock?: TpmsClockInfo;
  readonly evidence: StoredEvidence;
  /** What a second holder of the keys answered. */
  readonly otherEvidence?: StoredEvidence;
}

export type Judgement = Extension | Undecided | Failure;
