import { ParseError } from '../errors.ts';
import { type CelContent, readCelContent } from './cel-content.ts';
import { fieldsOf, type JsonFields, readDigests, readUint } from './cel-fields.ts';
import type { EventDigest, LogBank, LogWarning, RegisterKind } from './event.ts';

/** A record of a canonical event log. Nothing of it is proven: see LogEvent. */
export interface CelRecord {
  readonly index: number;
  /** Bytes from the start of the log to the record; of a log that is one JSON array, to the array. */
  readonly offset: number;
  readonly recnum: number | undefined;
  /** The register, as EventLog.registers numbers them; `undefined` for an NV index. */
  readonly pcr: number | undefined;
  readonly nvIndex: number | undefined;
  readonly digests: readonly EventDigest[];
  readonly contentType: string;
  /** Unverified: use recordContent (cel-content.ts). */
  readonly content: CelContent;
}

/** A canonical event log: of systemd's userspace, or of all of a boot. */
export interface CelLog {
  readonly registers: RegisterKind;
  readonly banks: readonly LogBank[];
  readonly records: readonly CelRecord[];
  readonly warnings: readonly LogWarning[];
}

/** What a log is read with. */
export interface CelLogOptions {
  readonly registers?: RegisterKind;
  /** Leave out a last record that is cut, with a warning: it may just be written. */
  readonly tolerateTruncation?: boolean;
  readonly maxBytes?: number;
  readonly maxRecords?: number;
}

const DEFAULT_MAX_BYTES = 4 * 1024 * 1024;
const DEFAULT_MAX_RECORDS = 20_000;
const MAX_WARNINGS = 100;
const RS = 0x1e;
const LF = 0x0a;
const ARRAY = 0x5b;
const SPACE = new Set([0x09, 0x0a, 0x0d, 0x20]);

/**
 * Parses a canonical event log in JSON (TCG Canonical Event Log Format 1.0, 4.3): an array, a sequence of records each
 * behind a record separator (RFC 7464), as `/run/log/systemd/tpm2-measure.log` is, or one record a line. No records is
 * legal: nothing was measured yet. Checks form only.
 *
 * @throws {ParseError} unless every record is whole, for one register, with digests of known algorithms
 */
export function parseCelLog(bytes: Uint8Array, options: CelLogOptions = {}): CelLog {
  const { registers = 'pcr', maxBytes = DEFAULT_MAX_BYTES } = options;
  if (bytes.length > maxBytes) {
    throw new ParseError('cel', 0, `the log has ${bytes.length} bytes, the limit is ${maxBytes}`);
  }
  const parser = new CelParser(registers, options.maxRecords ?? DEFAULT_MAX_RECORDS);
  const start = bytes.findIndex((byte) => !SPACE.has(byte));
  if (bytes[start] === ARRAY) parser.array(bytes, start);
  else parser.sequence(bytes, options.tolerateTruncation === true);
  const { records, warnings, banks } = parser;
  return { registers, banks: [...banks.values()], records, warnings };
}

class CelParser {
  readonly records: CelRecord[] = [];
  readonly warnings: LogWarning[] = [];
  /** By TPM_ALG_ID: digests of one algorithm share their bank. */
  readonly banks = new Map<number, LogBank>();
  readonly #registers: RegisterKind;
  readonly #maxRecords: number;

  constructor(registers: RegisterKind, maxRecords: number) {
    this.#registers = registers;
    this.#maxRecords = maxRecords;
  }

  array(bytes: Uint8Array, offset: number): void {
    const value = parseJson(bytes, offset);
    if (!Array.isArray(value)) throw new ParseError('cel', offset, 'is not an array of records');
    for (const record of value) this.#add(record, offset);
  }

  /** Records that end with a line feed; a record separator before each is optional, and a blank line nothing. */
  sequence(bytes: Uint8Array, tolerateTruncation: boolean): void {
    let at = 0;
    while (at < bytes.length) {
      const feed = bytes.indexOf(LF, at);
      const end = feed < 0 ? bytes.length : feed;
      const start = bytes[at] === RS ? at + 1 : at;
      const part = bytes.subarray(start, end);
      if (!isBlank(part)) {
        const value = this.#parse(part, start, feed < 0 && tolerateTruncation);
        if (value !== undefined) this.#add(value, start);
      }
      at = end + 1;
    }
  }

  /** A record that is the last one may be cut. */
  #parse(bytes: Uint8Array, offset: number, tolerant: boolean): unknown {
    try {
      return parseJson(bytes, offset);
    } catch (error) {
      if (!tolerant || !(error instanceof ParseError)) throw error;
      this.#warn('truncated', offset, 'the last record is cut');
      return undefined;
    }
  }

  #add(value: unknown, offset: number): void {
    const index = this.records.length;
    if (index >= this.#maxRecords) {
      throw new ParseError('cel', offset, `the log has more than ${this.#maxRecords} records`);
    }
    const fields = fieldsOf(value, 'record', offset);
    const digests = readDigests(fields, offset, this.banks);
    const recnum = fields.recnum === undefined ? undefined : readUint(fields, 'recnum', offset);
    const contentType = fields.content_type;
    if (typeof contentType !== 'string') {
      throw new ParseError('record.content_type', offset, 'is not a string');
    }
    const place = { index, offset, digests, ...this.#register(fields, offset) };
    const content = readCelContent(contentType, fields.content, place);
    this.#checkOrder(recnum, offset);
    this.records.push({ ...place, recnum, contentType, content });
  }

  /** Exactly one of the fields that say where the record was measured. */
  #register(fields: JsonFields, offset: number): Pick<CelRecord, 'pcr' | 'nvIndex'> {
    const named = ['pcr', 'nv_index', 'rtmr'].filter((name) => fields[name] !== undefined);
    const [name] = named;
    const own = this.#registers === 'tdx' ? 'rtmr' : 'pcr';
    if (name === undefined || named.length !== 1 || (name !== own && name !== 'nv_index')) {
      throw new ParseError('record', offset, `has ${named.join(' and ') || 'none'} of ${own} and nv_index`);
    }
    const number = readUint(fields, name, offset);
    if (name === 'nv_index') return { pcr: undefined, nvIndex: number };
    const limit = own === 'rtmr' ? 3 : 23;
    if (number > limit) {
      throw new ParseError(`record.${name}`, offset, `is ${number}, 0 to ${limit} expected`, 'bytes.known');
    }
    return { pcr: own === 'rtmr' ? number + 1 : number, nvIndex: undefined };
  }

  #checkOrder(recnum: number | undefined, offset: number): void {
    const before = this.records.at(-1)?.recnum;
    if (recnum === undefined || before === undefined || recnum > before) return;
    this.#warn('record-number', offset, `record ${recnum} comes after record ${before}`);
  }

  #warn(code: LogWarning['code'], offset: number, message: string): void {
    if (this.warnings.length < MAX_WARNINGS) this.warnings.push({ code, offset, message });
  }
}

function parseJson(bytes: Uint8Array, offset: number): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new ParseError('record', offset, 'is not JSON in UTF-8');
  }
}

function isBlank(bytes: Uint8Array): boolean {
  return bytes.every((byte) => SPACE.has(byte));
}
