import { AssayError, type ErrorCode } from '../core/errors.ts';

/** Exit codes of `assay`. They are part of the interface: scripts branch on them. */
export const EXIT = {
  ok: 0,
  /** The question was answered, and the answer is no: a check that failed, a node that does not pass. */
  no: 1,
  /** The command line, a file or a policy is wrong. */
  usage: 2,
  /** A service refused: missing right, unknown name, wrong state. */
  refused: 3,
  /** A service cannot be reached, or cannot work now. */
  unavailable: 4,
  /** A fault of ours. */
  internal: 70,
} as const;

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  malformed: EXIT.usage,
  'invalid-request': EXIT.usage,
  'invalid-policy': EXIT.usage,
  'invalid-config': EXIT.usage,
  'too-large': EXIT.usage,
  unavailable: EXIT.unavailable,
  'rate-limited': EXIT.unavailable,
};

export function exitCodeOf(error: unknown): number {
  return error instanceof AssayError ? (BY_CODE[error.code] ?? EXIT.refused) : EXIT.internal;
}

export const EXIT_CODE_HELP = `Exit codes: 0 done; 1 the answer is no; 2 wrong command line or file; 3 refused by a service; 4 service not reachable; 70 internal error.`;
