/**
 * Stable error codes. They are part of the HTTP API and of the CLI's `--json` output: add to them,
 * never rename one. The HTTP status of each is decided in platform/http/problem.ts, nowhere else.
 */
export type ErrorCode =
  | 'malformed' // bytes or fields that are not what their specification says
  | 'invalid-request' // well-formed, but asks for something that cannot be
  | 'invalid-policy' // a policy document that does not validate
  | 'invalid-config' // a configuration file, flag or environment that does not validate
  | 'unauthenticated' // no credential, or one that nothing here trusts
  | 'forbidden' // a known caller that may not do this
  | 'not-found'
  | 'conflict' // the record is in a state that excludes the request
  | 'too-large'
  | 'rate-limited'
  | 'challenge-expired'
  | 'challenge-unknown'
  | 'activation-failed'
  | 'identity-refused' // EK, EK certificate or AK that breaks a rule of docs/threat-model.md
  | 'not-admitted' // bound to its TPM, but nobody has admitted the node yet
  | 'not-trusted' // no fresh passing verdict: nothing is issued
  | 'unavailable'; // a part we need does not answer; try again

/** A field that explains an error, in the order a person should read them. */
export interface ErrorDetail {
  /** Stable rule code (docs/threat-model.md), such as `ek.chain`. */
  readonly rule?: string;
  readonly message: string;
}

/** An error we expect to happen and whose code a caller may branch on. */
export class AssayError extends Error {
  override readonly name: string = 'AssayError';
  readonly code: ErrorCode;
  readonly details: readonly ErrorDetail[];

  /**
   * @param message shown to the client: says what was expected, what came and what to do; holds no
   *   secret and no raw evidence
   * @param options `cause` is for the log only; `details` are shown to the client
   */
  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly cause?: unknown; readonly details?: readonly ErrorDetail[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? [];
  }
}

/** Which rule on reading bytes (docs/threat-model.md) an input breaks. */
export type ParseRule = 'bytes.bounds' | 'bytes.known' | 'bytes.duplicates';

/** Bytes that are not what their specification says they are. The only error a parser in core/ throws. */
export class ParseError extends AssayError {
  override readonly name = 'ParseError';
  readonly rule: ParseRule;
  /** Path of the field that was being read, such as `TPMS_ATTEST.extraData`. */
  readonly field: string;
  /** Bytes from the start of the outermost structure. */
  readonly offset: number;

  constructor(field: string, offset: number, problem: string, rule: ParseRule = 'bytes.bounds') {
    super('malformed', `${field} at byte ${offset}: ${problem}`);
    this.rule = rule;
    this.field = field;
    this.offset = offset;
  }
}
