import { decodeLossless } from '../../bytes/encoding.ts';

/**
 * UTF-16LE (CHAR16) as it stands, without one NUL at its end; lone surrogates are kept. Chosen by the node: show it
 * through `printable`.
 */
export function utf16Text(bytes: Uint8Array): string {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength & ~1).toString('utf16le');
  return text.endsWith('\0') ? text.slice(0, -1) : text;
}

/** UTF-8, without one NUL at its end; bytes that are not UTF-8 stand as U+DCNN. Show it through `printable`. */
export function byteText(bytes: Uint8Array): string {
  return decodeLossless(withoutNul(bytes));
}

/** Without one NUL byte at the end. */
export function withoutNul(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes;
}

/** Whether the bytes look like text in UTF-16LE of a Latin script: every second byte is zero, the others begin none. */
export function looksUtf16(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && bytes.length % 2 === 0 && bytes[0] !== 0 && bytes[1] === 0;
}
