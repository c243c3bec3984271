import type { TpmsClockInfo } from '../../core/tpm/attest.ts';

/** A TPM's clock, and when it was read: between two readings of one local clock, in milliseconds. */
export interface ClockReading {
  readonly clock: TpmsClockInfo;
  readonly asked: number;
  readonly answered: number;
}

/** Rounding to milliseconds on both sides, and a TPM clock that runs a little off. */
const SLACK_MS = 5;
const DRIFT = 0.01;

/**
 * Whether two quotes can be of one TPM that was asked twice, and not of two copies of it: the same boot, and its
 * clock moved on exactly as far as time did. Copies start at different times; their clocks stand apart by that.
 */
export function couldBeOneTpm(first: ClockReading, second: ClockReading): boolean {
  const { clock: a } = first;
  const { clock: b } = second;
  if (a.resetCount !== b.resetCount || a.restartCount !== b.restartCount) return false;
  const moved = Number(b.clock - a.clock);
  const shortest = second.asked - first.answered;
  const longest = second.answered - first.asked;
  return moved >= shortest * (1 - DRIFT) - SLACK_MS && moved <= longest * (1 + DRIFT) + SLACK_MS;
}
