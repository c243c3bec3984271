import { toHex } from '../bytes/encoding.ts';
import { type DerElement, type DerReader, TAG } from './der.ts';

const MAX_OID_BYTES = 64;
const MAX_SMALL_INTEGER = 0x7fffffff;

/** BOOLEAN (X.690, 11.1): 0xff or 0x00, nothing between. */
function readBoolean(reader: DerReader, field: string): boolean {
  const { value } = reader.element(TAG.BOOLEAN, field);
  if (value.length !== 1 || (value[0] !== 0 && value[0] !== 0xff)) {
    reader.fail(field, 'is not a DER boolean');
  }
  return value[0] === 0xff;
}

/** BOOLEAN DEFAULT FALSE: absent when false; written out it is a tolerated fault. */
export function readDefaultFalse(reader: DerReader, field: string): boolean {
  if (!reader.peek(TAG.BOOLEAN)) return false;
  const value = readBoolean(reader, field);
  if (!value) reader.tolerate('explicit-default', field, 'writes the default value out');
  return value;
}

/** Contents of an INTEGER (X.690, 8.3), two's complement, of the fewest bytes. */
export function readInteger(reader: DerReader, field: string, tag: number = TAG.INTEGER): Uint8Array {
  const { value } = reader.element(tag, field);
  if (value.length === 0) reader.fail(field, 'is an empty integer');
  if (!isMinimal(value)) reader.fail(field, 'is not a minimal integer');
  return value;
}

/** Whether the first nine bits of an INTEGER are neither all zero nor all one. */
export function isMinimal(value: Uint8Array): boolean {
  const [first, second] = value;
  if (second === undefined) return true;
  return !((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
}

/** A non-negative INTEGER of at most 31 bits. */
export function readSmallInteger(reader: DerReader, field: string, tag: number = TAG.INTEGER): number {
  const value = readInteger(reader, field, tag);
  if ((value[0] ?? 0) >= 0x80) reader.fail(field, 'is negative');
  if (value.length > 5) reader.fail(field, 'is over the limit');
  const number = value.reduce((sum, octet) => sum * 256 + octet, 0);
  if (number > MAX_SMALL_INTEGER) reader.fail(field, `${number} is over the limit of ${MAX_SMALL_INTEGER}`);
  return number;
}

/** OBJECT IDENTIFIER in dotted form. Arcs are bigint: a wrapped arc could read as a trusted one. */
export function readOid(reader: DerReader, field: string, tag: number = TAG.OID): string {
  const { value } = reader.element(tag, field);
  const key = toHex(value);
  const known = decodedOids.get(key);
  if (known !== undefined) return known;
  const oid = decodeOid(reader, value, field);
  // Bounded, or a flood of made-up identifiers would fill the memory.
  if (decodedOids.size < 1024) decodedOids.set(key, oid);
  return oid;
}

const decodedOids = new Map<string, string>();

function decodeOid(reader: DerReader, value: Uint8Array, field: string): string {
  if (value.length === 0 || value.length > MAX_OID_BYTES) {
    reader.fail(field, `is an object identifier of ${value.length} bytes`);
  }
  const arcs: bigint[] = [];
  let arc = 0n;
  let starts = true;
  for (const octet of value) {
    if (starts && octet === 0x80) reader.fail(field, 'has an arc that is not minimal');
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    starts = octet < 0x80;
    if (!starts) continue;
    arcs.push(arc);
    arc = 0n;
  }
  if (!starts) reader.fail(field, 'ends within an arc');
  const [first = 0n, ...rest] = arcs;
  const root = first < 80n ? first / 40n : 2n;
  return [root, first - root * 40n, ...rest].join('.');
}

/** The bits of a BIT STRING (X.690, 8.6 and 11.2) of whole bytes, as keys and signatures are. */
export function readWholeBits(reader: DerReader, field: string): Uint8Array {
  const { value } = reader.element(TAG.BIT_STRING, field);
  if (value[0] !== 0) reader.fail(field, 'is not a bit string of whole bytes');
  return value.subarray(1);
}

/** A BIT STRING with named bits (X.690, 11.2.2): no trailing zero bits, at most `max` bits. */
export function readNamedBits(
  reader: DerReader,
  field: string,
  max: number,
  tag: number = TAG.BIT_STRING,
): ReadonlySet<number> {
  const { value } = reader.element(tag, field);
  const unused = value[0];
  if (unused === undefined || unused > 7) reader.fail(field, 'is not a bit string');
  const bits = new Set<number>();
  for (let bit = 0; bit < (value.length - 1) * 8; bit++) {
    if (((value[1 + (bit >> 3)] ?? 0) & (0x80 >> (bit & 7))) !== 0) bits.add(bit);
  }
  const length = (value.length - 1) * 8 - unused;
  const last = Math.max(-1, ...bits);
  if (length < 0 || last >= length) reader.fail(field, 'has bits behind its end');
  if (last !== length - 1) reader.tolerate('trailing-zero-bits', field, 'has trailing zero bits');
  if (last >= max) reader.fail(field, `has bit ${last}, ${max} bits are known`, 'bytes.known');
  return bits;
}

const UTC_TIME = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const GENERALIZED_TIME = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const FIRST_YEAR = 1950;
const FIRST_GENERALIZED_YEAR = 2050;

/** Time (RFC 5280, 4.1.2.5): whole seconds in UTC; UTCTime through 2049, GeneralizedTime from 2050. */
export function readTime(reader: DerReader, field: string): Date {
  const element = reader.any(field);
  const time = element.tag === TAG.UTC_TIME ? utcTime(element) : generalizedTime(element);
  if (time === undefined) reader.fail(field, 'is not a time of RFC 5280');
  if (element.tag === TAG.GENERALIZED_TIME && time.getUTCFullYear() < FIRST_GENERALIZED_YEAR) {
    reader.tolerate('time-form', field, 'is a GeneralizedTime before 2050');
  }
  return time;
}

function utcTime({ value }: DerElement): Date | undefined {
  const parts = UTC_TIME.exec(latin1(value))?.slice(1).map(Number);
  if (!parts) return undefined;
  const [year = 0, ...rest] = parts;
  return dateOf([year < 50 ? 2000 + year : 1900 + year, ...rest]);
}

function generalizedTime({ tag, value }: DerElement): Date | undefined {
  if (tag !== TAG.GENERALIZED_TIME) return undefined;
  const parts = GENERALIZED_TIME.exec(latin1(value))?.slice(1).map(Number);
  return parts ? dateOf(parts) : undefined;
}

function dateOf(parts: readonly number[]): Date | undefined {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts;
  if (year < FIRST_YEAR) return undefined;
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const back = [
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  // Date takes 31 February for 3 March.
  return back.every((part, i) => part === parts[i + 1]) ? date : undefined;
}

/**
 * Text of a string type, read as what the type says; `undefined` for bytes that it does not allow. T61String is read
 * as Latin-1, as certificates use it.
 */
export function stringOf({ tag, value }: Pick<DerElement, 'tag' | 'value'>): string | undefined {
  switch (tag) {
    case TAG.UTF8_STRING:
      return utf8(value);
    case TAG.PRINTABLE_STRING:
    case TAG.NUMERIC_STRING:
    case TAG.IA5_STRING:
    case TAG.VISIBLE_STRING:
      return value.some((octet) => octet >= 0x80) ? undefined : latin1(value);
    case TAG.T61_STRING:
      return latin1(value);
    case TAG.BMP_STRING:
      return value.length % 2 === 0 ? utf16(value) : undefined;
    default:
      return undefined;
  }
}

/** The characters of an IA5String, which is ASCII. */
export function readAscii(reader: DerReader, tag: number, field: string): string {
  const { value } = reader.element(tag, field);
  if (value.some((octet) => octet >= 0x80)) reader.fail(field, 'is not ASCII');
  return latin1(value);
}

function utf8(value: Uint8Array): string | undefined {
  const text = Buffer.from(value).toString('utf8');
  return Buffer.from(text, 'utf8').equals(value) ? text : undefined;
}

function utf16(value: Uint8Array): string | undefined {
  const text = Buffer.from(value).swap16().toString('utf16le');
  return text.isWellFormed() ? text : undefined;
}

export function latin1(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1');
}
