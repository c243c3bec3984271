/** One thing that was found wrong, or worth telling. Rule codes are stable and documented. */
export interface Finding {
  /** Stable code, such as `quote.nonce` (docs/threat-model.md). */
  readonly rule: string;
  /** What was expected and what came, in a sentence; text that a node chose is already escaped. */
  readonly message: string;
  /** The PCR it is about, if one. */
  readonly pcr?: number;
}
