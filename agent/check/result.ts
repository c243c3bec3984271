/** What one look at the machine gave, for a person and for programs. */
export interface CheckResult {
  /** Stable: scripts may look for it. */
  readonly check:
    | 'tpm'
    | 'ek'
    | 'ak'
    | 'quote'
    | 'registrar'
    | 'clock'
    | 'listen'
    | 'contact'
    | 'material'
    | 'state';
  readonly outcome: 'ok' | 'warn' | 'fail';
  readonly message: string;
  /** What to do about it. */
  readonly advice?: string;
}

export const ok = (check: CheckResult['check'], message: string): CheckResult => ({
  check,
  outcome: 'ok',
  message,
});
export const warn = (check: CheckResult['check'], message: string, advice: string): CheckResult => ({
  ...{ check, outcome: 'warn', message, advice },
});
export const fail = (check: CheckResult['check'], message: string, advice: string): CheckResult => ({
  ...{ check, outcome: 'fail', message, advice },
});

export function why(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The system's code of an error, such as ENOENT. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
