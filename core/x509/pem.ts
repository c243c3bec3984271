import { fromBase64, toBase64 } from '../bytes/encoding.ts';
import { ParseError } from '../errors.ts';
import { DerReader, TAG } from './der.ts';
import { latin1 } from './der-values.ts';

/** Most certificates that one bundle may hold. */
const MAX_BUNDLE_CERTIFICATES = 16;
/** Longest bundle, in bytes. */
const MAX_BUNDLE_BYTES = 64 * 1024;

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END ([A-Z0-9 ]{1,40})-----/g;
const LABELS = new Set(['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE']);

/**
 * Splits one or more certificates, in PEM (RFC 7468, text around them is skipped) or DER (one, or several one behind
 * the other), into the DER of each, in order. Does not look into them: see parseCertificate.
 *
 * @throws {ParseError} for over 16 certificates or 64 KiB, for no certificate, for another kind of PEM block, and for
 *   the same certificate twice
 */
export function parsePemBundle(input: string | Uint8Array): readonly Uint8Array[] {
  if (input.length > MAX_BUNDLE_BYTES) fail(`has ${input.length} bytes, the limit is ${MAX_BUNDLE_BYTES}`);
  const text = typeof input === 'string' ? input : latin1(input);
  const certificates =
    typeof input !== 'string' && input[0] === TAG.SEQUENCE ? splitDer(input) : splitPem(text);
  if (certificates.length === 0) fail('holds no certificate, in PEM or DER');
  if (certificates.length > MAX_BUNDLE_CERTIFICATES) {
    fail(`holds ${certificates.length} certificates, the limit is ${MAX_BUNDLE_CERTIFICATES}`);
  }
  if (new Set(certificates.map(toBase64)).size !== certificates.length) {
    throw new ParseError('certificates', 0, 'holds one certificate twice', 'bytes.duplicates');
  }
  return certificates;
}

/** One PEM block (RFC 7468) with lines of 64 characters. */
export function renderPem(label: 'CERTIFICATE' | 'X509 CRL', der: Uint8Array): string {
  const lines = toBase64(der).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** The bytes of the first PEM block with this label. @throws {ParseError} when there is none */
export function parsePem(label: 'CERTIFICATE' | 'X509 CRL', text: string): Uint8Array {
  for (const [, begin, body = '', end] of text.matchAll(BLOCK)) {
    if (begin === label && end === label) return decode(body);
  }
  return fail(`holds no PEM block ${label}`);
}

function splitPem(text: string): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (const [, begin = '', body = '', end] of text.matchAll(BLOCK)) {
    if (begin !== end) fail(`holds a PEM block that begins as ${begin} and ends as ${end}`);
    if (!LABELS.has(begin)) fail(`holds a PEM block of the kind ${begin}, certificates alone are expected`);
    out.push(decode(body));
  }
  return out;
}

function decode(body: string): Uint8Array {
  return fromBase64(body.replace(/[\t\r\n ]+/g, ''), 'PEM');
}

/** Certificates one behind the other; filler behind the last stays with it, for parseCertificate to judge. */
function splitDer(bytes: Uint8Array): Uint8Array[] {
  const reader = DerReader.over(bytes, 'certificates');
  const out: Uint8Array[] = [];
  let start = 0;
  while (out.length <= MAX_BUNDLE_CERTIFICATES) {
    reader.any('certificate');
    const end = bytes.length - reader.remaining;
    const isLast = !reader.peek(TAG.SEQUENCE);
    out.push(bytes.subarray(start, isLast ? bytes.length : end));
    if (isLast) break;
    start = end;
  }
  return out;
}

function fail(problem: string): never {
  throw new ParseError('certificates', 0, problem);
}
