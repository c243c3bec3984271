import { timingSafeEqual } from 'node:crypto';
import { ParseError } from '../errors.ts';

const HEX = /^(?:[0-9a-f]{2})*$/i;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export function toHex(bytes: Uint8Array): string {
  return view(bytes).toString('hex');
}

/** @throws {ParseError} unless `text` is an even number of hex digits and nothing else */
export function fromHex(text: string, field: string): Uint8Array {
  if (!HEX.test(text)) throw new ParseError(field, 0, 'is not hexadecimal');
  return new Uint8Array(Buffer.from(text, 'hex'));
}

export function toBase64(bytes: Uint8Array): string {
  return view(bytes).toString('base64');
}

/**
 * Standard base64 (RFC 4648, section 4) with padding and no other characters, so that one byte string
 * has one text.
 *
 * @throws {ParseError} for anything else, also for non-zero bits after the last byte
 */
export function fromBase64(text: string, field: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  // Not a copy: that would cost as much as decoding.
  if (bytes.toString('base64') === text) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  throw new ParseError(field, 0, BASE64.test(text) ? 'is not canonical base64' : 'is not base64');
}

/** Compares in a time that depends on the lengths alone. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/**
 * Text that a node chose, made safe to show in a terminal, a log or a page: control characters, line
 * breaks, bidirectional overrides and bytes that are not UTF-8 come out as `\xNN` or `\u{…}`
 * (rule `bytes.text`).
 */
export function printable(value: Uint8Array | string): string {
  const text = typeof value === 'string' ? value : decodeLossless(value);
  return text.replace(UNSAFE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    if (code >= SURROGATE_ESCAPE && code <= SURROGATE_ESCAPE + 0xff)
      return byteEscape(code - SURROGATE_ESCAPE);
    return code < 0x100 ? byteEscape(code) : `\\u{${code.toString(16)}}`;
  });
}

// C0, DEL, C1, backslash, line and paragraph separators, bidi controls, zero-width, surrogates, BOM.
const UNSAFE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are exactly what must not pass
  /[\u0000-\u001f\u007f-\u009f\\\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]/gu;

// Python's `surrogateescape`: byte 0xNN that is not UTF-8 stands as U+DCNN.
const SURROGATE_ESCAPE = 0xdc00;

function byteEscape(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** UTF-8 where all of it is; else ASCII, and each other byte 0xNN as U+DCNN. No two byte strings have one text. */
export function decodeLossless(bytes: Uint8Array): string {
  const text = view(bytes).toString('utf8');
  if (Buffer.from(text, 'utf8').equals(bytes)) return text;
  let out = '';
  for (const byte of bytes)
    out += byte < 0x80 ? String.fromCharCode(byte) : String.fromCharCode(SURROGATE_ESCAPE + byte);
  return out;
}

function view(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
