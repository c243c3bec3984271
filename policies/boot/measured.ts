import { toHex } from '../../core/bytes/encoding.ts';
import type { CelLog } from '../../core/eventlog/cel.ts';
import type { EventContent } from '../../core/eventlog/content/types.ts';
import type { EventLog } from '../../core/eventlog/event.ts';
import type { PcrExplanation } from '../../core/eventlog/explain.ts';
import {
  eventContent,
  eventDigest,
  explainPcrs,
  recordContent,
  replayEventLog,
  replayLogs,
} from '../../core/eventlog/index.ts';
import type { Extend } from '../../core/eventlog/replay.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import type { PcrValues } from '../../core/tpm/pcr-selection.ts';

/** Something that was extended into a register, which the quote proves. */
export interface MeasuredEvent {
  readonly source: 'firmware' | 'userspace';
  /** Position in its log. */
  readonly index: number;
  /** Hex, of the policy's bank. */
  readonly digest: string;
  /** What it says: only what is `proven` may decide. Its kind follows from the event's type, which the node chose. */
  readonly content: EventContent;
}

/** A boot as far as a quote proves it. */
export interface MeasuredBoot {
  readonly bank: HashName;
  /** Every quoted register. */
  readonly explained: ReadonlyMap<number, PcrExplanation>;
  /** Of each register that replays, the events that lead to its value, in order; empty for others. */
  events(pcr: number): readonly MeasuredEvent[];
}

export interface BootLogs {
  readonly firmware: EventLog | undefined;
  readonly userspace: CelLog | undefined;
}

/** Replays logs against quoted values. */
export function measuredBoot(logs: BootLogs, bank: HashName, values: PcrValues): MeasuredBoot {
  const { firmware, userspace } = logs;
  const replay = userspace ? replayLogs(firmware, userspace) : firmware && replayEventLog(firmware);
  const explained = new Map(
    (replay ? explainPcrs(replay, bank, values) : []).map((one) => [one.pcr, one] as const),
  );
  const known = new Map<number, readonly MeasuredEvent[]>();
  const read = (pcr: number): readonly MeasuredEvent[] => {
    const explanation = explained.get(pcr);
    return explanation?.status === 'replays'
      ? explanation.events.map((event) => measuredEvent(event, logs, bank))
      : [];
  };
  return {
    bank,
    explained,
    events(pcr) {
      const events = known.get(pcr) ?? read(pcr);
      known.set(pcr, events);
      return events;
    },
  };
}

function measuredEvent(event: Extend, { firmware, userspace }: BootLogs, bank: HashName): MeasuredEvent {
  const { source, index } = event;
  const digest = toHex(eventDigest(event, bank) ?? new Uint8Array());
  const content = source === 'firmware' ? firmwareContent(firmware, index, bank) : undefined;
  const record = source === 'userspace' ? userspace?.records[index] : undefined;
  const found = content ?? (record && recordContent(record, bank));
  if (!found) throw new RangeError(`event ${index} of the ${source} log was replayed and is not there`);
  return { source, index, digest, content: found };
}

function firmwareContent(log: EventLog | undefined, index: number, bank: HashName): EventContent | undefined {
  const event = log?.events[index];
  return event && eventContent(event, bank);
}
