import type { Finding } from '../core/finding.ts';
import type { TpmsClockInfo } from '../core/tpm/attest.ts';
import type { BootClaims } from './boot/claims.ts';
import type { JudgedList } from './rules/ima.ts';

/**
 * What was found. `pass` needs a policy, evidence and no finding; what cannot be decided is `inconclusive`
 * and never prolongs trust (rule `trust.verdict`).
 */
export type Verdict =
  | {
      readonly outcome: 'pass';
      readonly findings: readonly [];
      readonly clock: TpmsClockInfo;
      readonly rebooted: boolean;
      /** Its TPM was restarted or resumed since the last quote, without a reset. */
      readonly resumed: boolean;
      /** What is proven of its boot, when the policy judges that. */
      readonly boot?: BootClaims;
      /** What of the measurement list is proven and judged now, when the policy judges files. */
      readonly ima?: JudgedList;
    }
  | {
      readonly outcome: 'fail';
      readonly findings: readonly Finding[];
      /**
       * True when a rule of the policy failed on evidence that is itself sound: the policy's reaction decides.
       * False when the evidence is broken: that is never only reported.
       */
      readonly byPolicy: boolean;
      readonly clock?: TpmsClockInfo;
      readonly boot?: BootClaims;
    }
  | { readonly outcome: 'inconclusive'; readonly findings: readonly Finding[] };
