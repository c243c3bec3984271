import { equalBytes } from '../bytes/encoding.ts';
import type { HashName } from '../tpm/constants.ts';
import type { PcrValues } from '../tpm/pcr-selection.ts';
import { type Extend, Register, type Replay, type ReplayInput, startValue } from './replay.ts';

/** How a value that was given, usually one that a TPM quoted, relates to the log. */
export type PcrStatus =
  | 'replays' // all events of the register, in order, lead to the value
  | 'literal' // no event, and the value is the one of the reset (or MRTD of a TD): it stands for itself
  | 'unexplained'; // anything else

/** Why a value is unexplained. */
export type UnexplainedReason =
  | 'no-events' // it was extended, and the log has nothing about it
  | 'mismatch' // no number of the events leads to it: the log was changed, or the register was extended besides
  | 'surplus' // it was reached before the last events of the firmware: these were not extended
  | 'no-digest' // an event has no digest for the bank
  | 'no-bank'; // the log does not have the bank

/** What a log says of the value of one register. */
export interface PcrExplanation {
  readonly pcr: number;
  readonly status: PcrStatus;
  readonly value: Uint8Array;
  /** What the log leads to; `undefined` where it cannot be computed. */
  readonly replayed: Uint8Array | undefined;
  /** Events that lead to the value; where none do, all of the register: one of them is false, missing or too many. */
  readonly events: readonly Extend[];
  /**
   * Events behind those that lead to the value. Of userspace they were extended after the value was read, and are to be
   * shown again under the next quote: they prove nothing now. Of the firmware they make the value unexplained.
   */
  readonly surplus: readonly Extend[];
  /** Set where the status is `unexplained`. */
  readonly reason: UnexplainedReason | undefined;
}

/**
 * Compares a replay with the values of one bank, in the order in which they are given. Proves digests and order, for
 * values that were quoted; of types and contents it proves nothing.
 */
export function explainPcrs(replay: Replay, bank: HashName, values: PcrValues): readonly PcrExplanation[] {
  return [...values].map(([pcr, value]) => explainPcr(replay, bank, pcr, value));
}

function explainPcr(
  { input, values }: Replay,
  bank: HashName,
  pcr: number,
  value: Uint8Array,
): PcrExplanation {
  const events = input.extends.get(pcr) ?? [];
  const replayed = values.get(bank)?.get(pcr);
  const base = { pcr, value, replayed, events, surplus: [] };
  const unexplained = (reason: UnexplainedReason): PcrExplanation => ({
    ...base,
    status: 'unexplained',
    reason,
  });
  if (!values.has(bank)) return unexplained('no-bank');
  if (replayed !== undefined && equalBytes(replayed, value)) {
    return { ...base, status: events.length === 0 ? 'literal' : 'replays', reason: undefined };
  }
  if (events.length === 0) {
    return replayed === undefined
      ? { ...base, status: 'literal', reason: undefined }
      : unexplained('no-events');
  }
  const reached = reachedAfter(input, bank, pcr, value);
  if (reached === undefined) return unexplained(replayed === undefined ? 'no-digest' : 'mismatch');
  const found = { ...base, events: events.slice(0, reached), surplus: events.slice(reached) };
  return found.surplus.every(({ source }) => source === 'userspace')
    ? { ...found, status: reached === 0 ? 'literal' : 'replays', reason: undefined }
    : { ...found, status: 'unexplained', reason: 'surplus' };
}

/** The number of events after which the register has the value. */
function reachedAfter(
  input: ReplayInput,
  bank: HashName,
  pcr: number,
  value: Uint8Array,
): number | undefined {
  const start = startValue(input, bank, pcr);
  if (start === undefined) return undefined;
  const register = new Register(bank, start);
  for (const [done, extend] of (input.extends.get(pcr) ?? []).entries()) {
    if (equalBytes(register.value(), value)) return done;
    if (!register.extend(extend)) return undefined;
  }
  return undefined;
}
