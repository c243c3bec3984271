import { concat } from '../bytes/writer.ts';
import { ParseError } from '../errors.ts';

/** What an agent of ours answers to GET /v1/evidence: a header in JSON, then the logs, as the kernel has them. */
export const EVIDENCE_TYPE = 'application/vnd.assay.evidence';

/** Sizes in bytes; the measurement list runs to the end of the body, since it grows while it is sent. */
export interface EvidenceHeader {
  /** In Keylime's form. */
  readonly quote: string;
  /** `same`: the log is the one whose digest was given; null: the node has none, or it was not asked for. */
  readonly firmware: number | 'same' | null;
  readonly userspace: number | 'same' | null;
  /** Number of the first entry that is sent, and where that stands in the whole list; null as above. */
  readonly ima: { readonly entry: number; readonly offset: number } | null;
}

/** Views into the body; nothing in them is checked. */
export interface EvidenceParts {
  readonly quote: string;
  readonly firmware: Uint8Array | 'same' | undefined;
  readonly userspace: Uint8Array | 'same' | undefined;
  readonly ima: { readonly bytes: Uint8Array; readonly entry: number; readonly offset: number } | undefined;
}

const LENGTH_BYTES = 4;
const MAX_HEADER_BYTES = 128 * 1024;

/** The header with its length before it, in 32 bits, the most significant byte first. */
export function renderEvidenceHeader(header: EvidenceHeader): Uint8Array {
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, json.length);
  return concat(length, json);
}

/** @throws {ParseError} unless the body is a header and exactly the parts that it announces */
export function parseEvidence(body: Uint8Array): EvidenceParts {
  const header = readHeader(body);
  let at = header.end;
  const part = (size: unknown, field: string): Uint8Array | 'same' | undefined => {
    if (size === 'same') return size;
    if (size === null || size === undefined) return undefined;
    const length = readCount(size, field);
    if (length > body.length - at) throw fail(field, at, `needs ${length} bytes, ${body.length - at} left`);
    at += length;
    return body.subarray(at - length, at);
  };
  const { quote, ima } = header.fields;
  if (typeof quote !== 'string') throw fail('quote', 0, 'is missing');
  const firmware = part(header.fields.firmware, 'firmware');
  const userspace = part(header.fields.userspace, 'userspace');
  if (ima === null || ima === undefined) {
    if (at < body.length)
      throw fail('body', at, `has ${body.length - at} bytes more than the header announces`);
    return { quote, firmware, userspace, ima: undefined };
  }
  const [entry, offset] = [
    readCount(member(ima, 'entry'), 'ima.entry'),
    readCount(member(ima, 'offset'), 'ima.offset'),
  ];
  return { quote, firmware, userspace, ima: { bytes: body.subarray(at), entry, offset } };
}

function readHeader(body: Uint8Array) {
  if (body.length < LENGTH_BYTES) throw fail('header', 0, `has ${body.length} bytes, at least 4 expected`);
  const size = new DataView(body.buffer, body.byteOffset, LENGTH_BYTES).getUint32(0);
  const end = LENGTH_BYTES + size;
  if (size > MAX_HEADER_BYTES || end > body.length) {
    throw fail('header', 0, `is said to have ${size} bytes, ${body.length - LENGTH_BYTES} follow`);
  }
  const text = Buffer.from(body.buffer, body.byteOffset + LENGTH_BYTES, size).toString('utf8');
  const value = parseJson(text);
  const fields = Object.fromEntries(
    ['quote', 'firmware', 'userspace', 'ima'].map((name) => [name, member(value, name)]),
  );
  return { end, fields };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw fail('header', LENGTH_BYTES, 'is not JSON');
  }
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

function readCount(value: unknown, field: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw fail(field, 0, 'is not a number of bytes or entries');
}

function fail(field: string, offset: number, problem: string): ParseError {
  return new ParseError(`evidence.${field}`, offset, problem);
}
