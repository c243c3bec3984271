import { fromBase64, toBase64 } from '../../bytes/encoding.ts';
import { ParseError } from '../../errors.ts';

/** What Keylime's agents send as `quote` (API 2.x). Nothing in it is checked yet. */
export interface QuoteParts {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** The PCR values, as parsePcrBlob reads them. */
  readonly pcrBlob: Uint8Array;
}

const PREFIX = 'r';
/** The blob with every PCR of 16 banks, the largest attestation and signature, as base64. */
const MAX_CHARACTERS = 64 * 1024;

/** @throws {ParseError} unless `text` is `r` and three parts in canonical base64, separated by colons */
export function parseQuoteString(text: string): QuoteParts {
  if (text.length > MAX_CHARACTERS) {
    throw new ParseError('quote', 0, `is ${text.length} characters long, at most ${MAX_CHARACTERS} accepted`);
  }
  if (!text.startsWith(PREFIX)) throw new ParseError('quote', 0, 'does not begin with r', 'bytes.known');
  const [attest, signature, pcrBlob, ...rest] = text.slice(PREFIX.length).split(':');
  if (attest === undefined || signature === undefined || pcrBlob === undefined || rest.length > 0) {
    throw new ParseError('quote', 0, 'is not three parts with colons between them');
  }
  return {
    attest: fromBase64(attest, 'quote.attest'),
    signature: fromBase64(signature, 'quote.signature'),
    pcrBlob: fromBase64(pcrBlob, 'quote.pcrs'),
  };
}

/** The inverse of parseQuoteString. */
export function renderQuoteString({ attest, signature, pcrBlob }: QuoteParts): string {
  return PREFIX + [attest, signature, pcrBlob].map(toBase64).join(':');
}
