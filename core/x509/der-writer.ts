import { TAG } from './der.ts';

const FIRST_GENERALIZED_YEAR = 2050;

/** One element: identifier octet, minimal length, contents. */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  return derList(tag, contents);
}

/** The same for a list of any length, which as arguments would not fit the stack. */
export function derList(tag: number, contents: readonly Uint8Array[]): Uint8Array {
  const length = contents.reduce((total, part) => total + part.length, 0);
  const head = header(tag, length);
  const out = new Uint8Array(head.length + length);
  out.set(head);
  let at = head.length;
  for (const part of contents) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export const derSequence = (...contents: readonly Uint8Array[]): Uint8Array =>
  derList(TAG.SEQUENCE, contents);

/** INTEGER from a magnitude: a zero byte is put before it when it would read as negative. */
export function derUnsigned(magnitude: Uint8Array): Uint8Array {
  let start = 0;
  while (start < magnitude.length && magnitude[start] === 0) start += 1;
  // A magnitude that is all zeros is the number zero, which has one octet.
  const padding = start === magnitude.length || (magnitude[start] ?? 0) >= 0x80 ? 1 : 0;
  const head = header(TAG.INTEGER, padding + magnitude.length - start);
  const out = new Uint8Array(head.length + padding + magnitude.length - start);
  out.set(head);
  out.set(magnitude.subarray(start), head.length + padding);
  return out;
}

/** OBJECT IDENTIFIER from its dotted form. @throws {RangeError} for what is none */
export function derOid(dotted: string): Uint8Array {
  if (!/^[0-2](?:\.(?:0|[1-9]\d*)){1,31}$/.test(dotted))
    throw new RangeError(`${dotted} is no object identifier`);
  const [root = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  if (root < 2n && second > 39n) throw new RangeError(`${dotted} is no object identifier`);
  return der(TAG.OID, Uint8Array.from([root * 40n + second, ...rest].flatMap(base128)));
}

/** BIT STRING of whole bytes. */
export const derBits = (bytes: Uint8Array): Uint8Array => der(TAG.BIT_STRING, Uint8Array.of(0), bytes);

/** Time (RFC 5280, 4.1.2.5), whole seconds. @throws {RangeError} for a fraction or a year outside 1950–9999 */
export function derTime(time: Date): Uint8Array {
  return time.getUTCFullYear() < FIRST_GENERALIZED_YEAR
    ? der(TAG.UTC_TIME, Buffer.from(timeDigits(time).slice(2), 'latin1'))
    : derGeneralizedTime(time);
}

/** The same where a structure has GeneralizedTime for every year, as in OCSP. */
export function derGeneralizedTime(time: Date): Uint8Array {
  return der(TAG.GENERALIZED_TIME, Buffer.from(timeDigits(time), 'latin1'));
}

function timeDigits(time: Date): string {
  const year = time.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) throw new RangeError(`${time} is no time that a certificate can hold`);
  if (time.getUTCMilliseconds() !== 0) throw new RangeError('a time of whole seconds is expected');
  return `${time.toISOString().replace(/[-:T]|\.\d{3}Z/g, '')}Z`;
}

function header(tag: number, length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(tag, length);
  const octets: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256);
  return Uint8Array.of(tag, 0x80 | octets.length, ...octets);
}

function base128(arc: bigint): number[] {
  const octets = [Number(arc & 0x7fn)];
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) octets.unshift(Number(rest & 0x7fn) | 0x80);
  return octets;
}
