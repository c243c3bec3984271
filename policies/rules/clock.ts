import type { Finding } from '../../core/finding.ts';
import type { TpmsClockInfo } from '../../core/tpm/attest.ts';

export interface ClockEvaluation {
  readonly findings: readonly Finding[];
  /** The TPM was reset since: the node booted, and its evidence starts afresh. */
  readonly rebooted: boolean;
  /** It was restarted or resumed without a reset, as after a suspend: worth telling, and no boot. */
  readonly resumed: boolean;
}

/**
 * Compares TPMS_CLOCK_INFO with the node's last accepted one (TPM 2.0 Part 2, 10.11.1; rule `quote.clock`).
 * Counters and clock never go back in one TPM: when they do, an old quote or another copy of its state
 * is speaking.
 */
export function evaluateClock(now: TpmsClockInfo, before: TpmsClockInfo | undefined): ClockEvaluation {
  if (!before) return { findings: [], rebooted: false, resumed: false };
  if (now.resetCount < before.resetCount) {
    return failed(`resetCount went back from ${before.resetCount} to ${now.resetCount}`);
  }
  if (now.resetCount > before.resetCount) return { findings: [], rebooted: true, resumed: false };
  if (now.restartCount < before.restartCount) {
    return failed(
      `restartCount went back from ${before.restartCount} to ${now.restartCount} without a reset`,
    );
  }
  // Across an unorderly shutdown the clock may be set back by what was not yet saved, but then resetCount grew.
  if (now.clock <= before.clock) {
    return failed(`clock went back from ${before.clock} ms to ${now.clock} ms without a reset`);
  }
  return { findings: [], rebooted: false, resumed: now.restartCount > before.restartCount };
}

function failed(message: string): ClockEvaluation {
  const finding = { rule: 'quote.clock', message: `${message}: an old quote, or a copy of this TPM's state` };
  return { findings: [finding], rebooted: false, resumed: false };
}
