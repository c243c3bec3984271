import { hash as digestOf } from 'node:crypto';
import { digestSize, type HashName, PCR_COUNT } from '../tpm/constants.ts';
import type { PcrBanks, PcrValues } from '../tpm/pcr-selection.ts';
import type { CelLog, CelRecord } from './cel.ts';
import { type EventDigest, type EventLog, eventDigest, type LogBank, type RegisterKind } from './event.ts';
import { EV } from './event-type.ts';
import { startupLocality } from './startup.ts';

/** What a replay needs of an event of any log: where it extends, and with what. */
export interface Extend {
  /** A log of userspace grows while the system runs; that of the firmware does not. */
  readonly source: 'firmware' | 'userspace';
  /** Position in its log. */
  readonly index: number;
  readonly pcr: number;
  readonly digests: readonly EventDigest[];
}

/** Everything that leads to the values of the registers, in order. */
export interface ReplayInput {
  readonly registers: RegisterKind;
  /** Last byte of what PCR 0 starts with. */
  readonly locality: number;
  readonly banks: readonly HashName[];
  /** The events that extend each register, in order. */
  readonly extends: ReadonlyMap<number, readonly Extend[]>;
}

/** Values of the registers after all events. A register is left out where an event has no digest for the bank. */
export interface Replay {
  readonly input: ReplayInput;
  readonly values: PcrBanks;
}

const DRTM_FIRST = 17;
const DRTM_LAST = 22;
const TDX_MRTD = 0;
const TDX_REGISTERS = 5;

/**
 * Replays a log in all banks that can be computed: each digest is extended into its register, EV_NO_ACTION never. What
 * it gives is what the log claims; compare it with quoted values (explain.ts).
 */
export function replayEventLog(log: EventLog): Replay {
  return replay(replayInputOf(log));
}

/**
 * Replays what the firmware measured, then what userspace did. The banks are those of the firmware's log where there is
 * one: in others the firmware may have measured too, and nobody knows what.
 *
 * @throws {RangeError} for logs of different registers
 */
export function replayLogs(firmware: EventLog | undefined, userspace: CelLog): Replay {
  if (firmware !== undefined && firmware.registers !== userspace.registers) {
    throw new RangeError(
      `a log of ${userspace.registers} registers does not go on one of ${firmware.registers}`,
    );
  }
  const before = firmware && replayInputOf(firmware);
  const registers = before === undefined ? new Map<number, Extend[]>() : copyOf(before.extends);
  for (const record of userspace.records) addRecord(registers, record);
  const events = userspace.records.flatMap(({ content }) =>
    content.type === 'pcclient' ? content.event : [],
  );
  return replay({
    registers: userspace.registers,
    locality: before?.locality ?? (userspace.registers === 'pcr' ? startupLocality(events).locality : 0),
    banks: before?.banks ?? hashesOf(userspace.banks),
    extends: registers,
  });
}

function replayInputOf(log: EventLog): ReplayInput {
  const registers = new Map<number, Extend[]>();
  for (const event of log.events) if (event.type !== EV.NO_ACTION) addExtend(registers, event);
  return {
    registers: log.registers,
    locality: log.registers === 'pcr' ? startupLocality(log.events).locality : 0,
    banks: hashesOf(log.banks),
    extends: registers,
  };
}

function hashesOf(banks: readonly LogBank[]): readonly HashName[] {
  return banks.flatMap(({ hash }) => hash ?? []);
}

function copyOf(registers: ReadonlyMap<number, readonly Extend[]>): Map<number, Extend[]> {
  return new Map([...registers].map(([pcr, list]) => [pcr, [...list]]));
}

// A record for an NV index, of a management event and of EV_NO_ACTION extends no register.
function addRecord(registers: Map<number, Extend[]>, { pcr, index, digests, content }: CelRecord): void {
  if (pcr === undefined || digests.length === 0) return;
  if (content.type === 'pcclient' && content.event.type === EV.NO_ACTION) return;
  addExtend(registers, { source: 'userspace', index, pcr, digests });
}

function addExtend(registers: Map<number, Extend[]>, extend: Extend): void {
  const list = registers.get(extend.pcr);
  if (list === undefined) registers.set(extend.pcr, [extend]);
  else list.push(extend);
}

function replay(input: ReplayInput): Replay {
  const values = new Map<HashName, PcrValues>();
  for (const bank of input.banks) values.set(bank, replayBank(input, bank));
  return { input, values };
}

function replayBank(input: ReplayInput, bank: HashName): PcrValues {
  const values = new Map<number, Uint8Array>();
  const count = input.registers === 'pcr' ? PCR_COUNT : TDX_REGISTERS;
  for (let pcr = 0; pcr < count; pcr++) {
    const value = replayRegister(input, bank, pcr);
    if (value !== undefined) values.set(pcr, value);
  }
  return values;
}

function replayRegister(input: ReplayInput, bank: HashName, pcr: number): Uint8Array | undefined {
  const value = startValue(input, bank, pcr);
  if (value === undefined) return undefined;
  const register = new Register(bank, value);
  for (const extend of input.extends.get(pcr) ?? []) if (!register.extend(extend)) return undefined;
  return register.value();
}

/**
 * What a register holds before its first event (PC Client Platform TPM Profile, 4.6.2). PCR 17 to 22 are ones until a
 * dynamic launch sets them to zero, so they are zero where the log has events for them. MRTD of a TD is not extended.
 */
export function startValue(input: ReplayInput, bank: HashName, pcr: number): Uint8Array | undefined {
  const value = new Uint8Array(digestSize(bank));
  if (input.registers === 'tdx') return pcr === TDX_MRTD ? undefined : value;
  if (pcr === 0) value[value.length - 1] = input.locality;
  if (pcr >= DRTM_FIRST && pcr <= DRTM_LAST && !input.extends.has(pcr)) value.fill(0xff);
  return value;
}

/** One register of one bank while it is replayed. */
export class Register {
  readonly #bank: HashName;
  readonly #buffer: Uint8Array;
  readonly #size: number;

  constructor(bank: HashName, start: Uint8Array) {
    this.#bank = bank;
    this.#size = start.length;
    this.#buffer = new Uint8Array(2 * start.length);
    this.#buffer.set(start);
  }

  /** Whether the event has a digest for the bank. */
  extend({ digests }: Extend): boolean {
    const digest = eventDigest({ digests }, this.#bank);
    if (digest === undefined) return false;
    this.#buffer.set(digest, this.#size);
    this.#buffer.set(digestOf(this.#bank, this.#buffer, 'buffer'));
    return true;
  }

  value(): Uint8Array {
    return this.#buffer.slice(0, this.#size);
  }
}
