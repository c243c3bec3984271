import type { HashName } from '../tpm/constants.ts';

/** A hash algorithm for which every event of a log has a digest (TCG_EfiSpecIdEventAlgorithmSize). */
export interface LogBank {
  /** TPM_ALG_ID. */
  readonly alg: number;
  /** `undefined` for an algorithm that nothing here computes: its digests are shown, never replayed. */
  readonly hash: HashName | undefined;
  readonly digestBytes: number;
}

/** One digest of an event. */
export interface EventDigest {
  readonly bank: LogBank;
  readonly digest: Uint8Array;
}

/**
 * An event as it stands in a log. Nothing of it is proven: a replay that fits a quote proves the digests and their
 * order in each PCR; of `type` and `data` it proves nothing (content.ts says what the digest covers).
 */
export interface LogEvent {
  readonly source: 'firmware';
  /** Position in the log, from 0. */
  readonly index: number;
  /** Bytes from the start of the log to the event, and to its data. */
  readonly offset: number;
  readonly dataOffset: number;
  /** Register that the event names; 0xffffffff in some events that extend nothing. */
  readonly pcr: number;
  readonly type: number;
  readonly typeName: string;
  readonly digests: readonly EventDigest[];
  /** A view into the log. Unverified: use content.ts. */
  readonly data: Uint8Array;
}

/** What was odd in a log that could still be read. Stable codes. */
export type LogWarningCode =
  | 'padding' // bytes of one value after the last event
  | 'truncated' // the last event is cut and was left out
  | 'spec-id' // something in the first event that its specification does not allow
  | 'digest-missing' // an event without a digest for a bank of the log
  | 'event-type' // a number that has no meaning
  | 'record-number' // records of a canonical log that are not in the order of their numbers
  | 'locality'; // a StartupLocality event that is malformed, late, or not the only one

/** A warning never decides: it helps a person who looks at the log. */
export interface LogWarning {
  readonly code: LogWarningCode;
  /** Bytes from the start of the log. */
  readonly offset: number;
  readonly message: string;
}

/** What the register numbers of a log mean. */
export type RegisterKind =
  | 'pcr' // of a TPM: 0 to 23
  | 'tdx'; // of an Intel TD (CCEL): 0 is MRTD, 1 to 4 are RTMR[0] to RTMR[3]

/** A firmware event log. */
export interface EventLog {
  readonly format: 'crypto-agile' | 'sha1';
  readonly registers: RegisterKind;
  readonly banks: readonly LogBank[];
  readonly events: readonly LogEvent[];
  readonly warnings: readonly LogWarning[];
  /** Bytes that hold events; what follows is padding or, where that is tolerated, a cut event. */
  readonly sizeBytes: number;
}

/** The digest of an event in a bank. */
export function eventDigest(event: Pick<LogEvent, 'digests'>, hash: HashName): Uint8Array | undefined {
  for (const { bank, digest } of event.digests) if (bank.hash === hash) return digest;
  return undefined;
}
