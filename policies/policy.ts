import type { HashName } from '../core/tpm/constants.ts';
import type { BootRules } from './boot/boot-rules.ts';
import type { Condition } from './conditions.ts';
import type { ImaRules } from './ima-policy.ts';

/** What happens when a rule of the policy fails. Broken evidence never does less than `stop`. */
export type Reaction = 'ban' | 'stop' | 'report';

/** After what a banned node may come back. */
export type RecoveryRule = 'reboot' | 're-enrolment';

/** How often a node must then pass in a row, by rule. */
export type Recovery = ReadonlyMap<RecoveryRule, number>;

/** The bank that decides. SHA-1 is not among them (rule `quote.bank`). */
export type PolicyBank = Exclude<HashName, 'sha1'>;

/** One PCR must hold one of these values. */
export interface PcrRule {
  /** Stable within the policy; verdicts cite it. */
  readonly id: string;
  readonly pcr: number;
  /** Lower-case hex, of the bank's digest size. */
  readonly anyOf: ReadonlySet<string>;
  readonly why?: string;
}

/** A policy as it is evaluated: parsed once for each version and shared by all nodes. */
export interface Policy {
  readonly name: string;
  readonly description: string;
  readonly freshness: {
    /** How often a node is asked. */
    readonly intervalMs: number;
    /** How long one pass is worth, counted from the moment the nonce was made. */
    readonly trustForMs: number;
  };
  readonly reaction: Reaction;
  /** Ways back from a ban by this policy; absent: a person alone lifts it. */
  readonly recovery?: Recovery;
  readonly pcrs: {
    readonly bank: PolicyBank;
    /** Ascending, without duplicates, never empty: what is asked, and what the signed selection must hold. */
    readonly selection: readonly number[];
    readonly rules: readonly PcrRule[];
  };
  /** What is said of firmware, boot loaders and kernel; absent when only their registers are. */
  readonly boot?: BootRules;
  /** What is said of the files that the node used; absent when IMA is not asked for. */
  readonly ima?: ImaRules;
  /** What must hold besides, in CEL. */
  readonly when?: readonly Condition[];
}
