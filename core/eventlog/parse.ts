import { Reader } from '../bytes/reader.ts';
import { ParseError } from '../errors.ts';
import { PCR_COUNT } from '../tpm/constants.ts';
import type { EventDigest, EventLog, LogBank, LogEvent, LogWarning, RegisterKind } from './event.ts';
import { EV, eventTypeName, isKnownEventType } from './event-type.ts';
import { readSpecId, SHA1_BANK } from './spec-id.ts';
import { localityWarnings } from './startup.ts';

/** What a log is read with. */
export interface EventLogOptions {
  /** `pcr` by default; `tdx` for the table CCEL of an Intel TD. */
  readonly registers?: RegisterKind;
  /** Leave out a last event that is cut, with a warning, where a person wants to see the rest. Never to judge by. */
  readonly tolerateTruncation?: boolean;
  readonly maxBytes?: number;
  readonly maxEvents?: number;
}

const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;
const DEFAULT_MAX_EVENTS = 20_000;
const MAX_WARNINGS = 100;
const REGISTERS: Readonly<Record<RegisterKind, number>> = { pcr: PCR_COUNT, tdx: 5 };
const STRUCTURE = { 'crypto-agile': 'TCG_PCR_EVENT2', sha1: 'TCG_PCClientPCREvent' } as const;

/**
 * Parses a firmware event log as `binary_bios_measurements` has it (PC Client Platform Firmware Profile, 10.2): of any
 * set of banks, or of SHA-1 digests alone. Keeps views: leave `bytes` unchanged. Checks form only; a log without
 * bytes is not one, so a node that has none is the caller's case.
 *
 * @throws {ParseError} unless the bytes are whole events, with nothing but padding behind them
 */
export function parseEventLog(bytes: Uint8Array, options: EventLogOptions = {}): EventLog {
  const { registers = 'pcr', maxBytes = DEFAULT_MAX_BYTES } = options;
  if (bytes.length > maxBytes) {
    throw new ParseError('eventlog', 0, `the log has ${bytes.length} bytes, the limit is ${maxBytes}`);
  }
  const first = readFirst(bytes);
  const parser = new LogParser(bytes, first, options);
  const sizeBytes = parser.run();
  const { events, warnings } = parser;
  warnings.push(...localityWarnings(events));
  return { format: first.format, registers, banks: first.banks, events, warnings, sizeBytes };
}

interface First {
  readonly format: EventLog['format'];
  readonly banks: readonly LogBank[];
  readonly warnings: readonly LogWarning[];
  /** The event that says so, where there is one. */
  readonly event: LogEvent | undefined;
}

// The first event has the SHA-1 form in every log: it is what says which form the others have.
function readFirst(bytes: Uint8Array): First {
  const plain: First = { format: 'sha1', banks: [SHA1_BANK], warnings: [], event: undefined };
  if (bytes.length === 0) throw new ParseError('eventlog', 0, 'the log has no bytes');
  const reader = new Reader(bytes, STRUCTURE.sha1);
  const event = readLegacyEvent(reader, 0);
  if (event.type !== EV.NO_ACTION) return plain;
  const specId = readSpecId(event.data, event.dataOffset);
  return specId === undefined ? plain : { ...specId, event };
}

function readLegacyEvent(reader: Reader, index: number): LogEvent {
  const { offset } = reader;
  const pcr = reader.u32le('pcrIndex');
  const type = reader.u32le('eventType');
  const digest = reader.raw(SHA1_BANK.digestBytes, 'digest');
  const data = reader.raw(reader.u32le('eventDataSize'), 'event');
  const dataOffset = reader.offset - data.length;
  const typeName = eventTypeName(type);
  const digests = [{ bank: SHA1_BANK, digest }];
  return { source: 'firmware', index, offset, dataOffset, pcr, type, typeName, digests, data };
}

class LogParser {
  readonly events: LogEvent[] = [];
  readonly warnings: LogWarning[] = [];
  readonly #bytes: Uint8Array;
  readonly #reader: Reader;
  readonly #first: First;
  readonly #options: EventLogOptions;
  readonly #registers: number;
  readonly #maxEvents: number;
  /** Where the bytes of one value at the end of the log begin. */
  readonly #tail: number;

  constructor(bytes: Uint8Array, first: First, options: EventLogOptions) {
    this.#bytes = bytes;
    this.#reader = new Reader(bytes, STRUCTURE[first.format]);
    this.#first = first;
    this.#options = options;
    this.#registers = REGISTERS[options.registers ?? 'pcr'];
    this.#maxEvents = options.maxEvents ?? DEFAULT_MAX_EVENTS;
    this.#tail = tailOf(bytes);
    this.warnings.push(...first.warnings);
  }

  /** Reads every event, returns where the last one ends. */
  run(): number {
    const reader = this.#reader;
    if (this.#first.event !== undefined) {
      this.events.push(this.#first.event);
      reader.raw(this.#first.event.dataOffset + this.#first.event.data.length, 'specId');
    }
    let end = reader.offset;
    while (reader.remaining > 0 && !this.#padding() && this.#next()) end = reader.offset;
    if (this.events.length === 0) reader.fail('pcrIndex', 'the log has no events');
    return end;
  }

  /** Whether an event was read. */
  #next(): boolean {
    const { offset } = this.#reader;
    if (this.events.length >= this.#maxEvents) {
      this.#reader.fail('pcrIndex', `the log has more than ${this.#maxEvents} events`);
    }
    try {
      this.#add(this.#readEvent());
      return true;
    } catch (error) {
      // Only what reaches past the end is a cut log; anything else is damage.
      const cut = error instanceof ParseError && error.rule === 'bytes.bounds';
      if (this.#options.tolerateTruncation !== true || !cut) throw error;
      this.#warn('truncated', offset, `the last event is cut: ${error.message}`);
      return false;
    }
  }

  #readEvent(): LogEvent {
    const reader = this.#reader;
    const index = this.events.length;
    if (this.#first.format === 'sha1') return readLegacyEvent(reader, index);
    const { offset } = reader;
    const pcr = reader.u32le('pcrIndex');
    const type = reader.u32le('eventType');
    const digests = this.#digests();
    const data = reader.raw(reader.u32le('eventSize'), 'event');
    const dataOffset = reader.offset - data.length;
    const typeName = eventTypeName(type);
    return { source: 'firmware', index, offset, dataOffset, pcr, type, typeName, digests, data };
  }

  /** TPML_DIGEST_VALUES, little-endian. */
  #digests(): readonly EventDigest[] {
    const reader = this.#reader;
    const { banks } = this.#first;
    const count = reader.u32le('digests.count');
    if (count > banks.length) {
      reader.fail('digests.count', `is ${count}, the log has ${banks.length} banks`, 'bytes.known');
    }
    const digests: EventDigest[] = [];
    for (let i = 0; i < count; i++) {
      const alg = reader.u16le('digests.hashAlg');
      const bank = banks.find((one) => one.alg === alg);
      if (bank === undefined) {
        const problem = `0x${alg.toString(16)} is not a bank of the log`;
        return reader.fail('digests.hashAlg', problem, 'bytes.known');
      }
      if (digests.some((one) => one.bank === bank)) {
        reader.fail('digests.hashAlg', `0x${alg.toString(16)} is there twice`, 'bytes.duplicates');
      }
      digests.push({ bank, digest: reader.raw(bank.digestBytes, 'digests.digest') });
    }
    return digests;
  }

  #add(event: LogEvent): void {
    const { pcr, type, offset } = event;
    if (pcr >= this.#registers && type !== EV.NO_ACTION) {
      const problem = `is ${pcr}, and 0 to ${this.#registers - 1} can be extended`;
      throw new ParseError(`${STRUCTURE[this.#first.format]}.pcrIndex`, offset, problem, 'bytes.known');
    }
    if (!isKnownEventType(type)) this.#warn('event-type', offset + 4, `event type ${event.typeName}`);
    if (event.digests.length < this.#first.banks.length && type !== EV.NO_ACTION) {
      const problem = `${event.digests.length} digests, the log has ${this.#first.banks.length} banks`;
      this.#warn('digest-missing', offset + 8, problem);
    }
    this.events.push(event);
  }

  /** Whether all that is left is filling: firmware hands over a whole table. */
  #padding(): boolean {
    const { offset, remaining } = this.#reader;
    if (offset < this.#tail) return false;
    const fill = this.#bytes[offset] === 0 ? '0x00' : '0xff';
    this.#warn('padding', offset, `${remaining} bytes of ${fill} behind the last event`);
    return true;
  }

  #warn(code: LogWarning['code'], offset: number, message: string): void {
    if (this.warnings.length < MAX_WARNINGS) this.warnings.push({ code, offset, message });
  }
}

function tailOf(bytes: Uint8Array): number {
  const fill = bytes.at(-1);
  if (fill !== 0 && fill !== 0xff) return bytes.length;
  let start = bytes.length - 1;
  while (start > 0 && bytes[start - 1] === fill) start--;
  return start;
}
