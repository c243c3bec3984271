import { TAG } from '../../core/x509/der.ts';
import { der, derOid, derSequence } from '../../core/x509/der-writer.ts';
import { ATTRIBUTE } from '../../core/x509/name.ts';

/** Attribute type as a dotted object identifier, and its text. */
export type NamePart = readonly [type: string, text: string];

// RFC 5280, appendix A: ub-common-name.
const MAX_TEXT = 64;

/** DER of a Name with one attribute, a UTF8String, in each RDN. @throws {RangeError} for a text over 64 characters */
export function distinguishedName(parts: readonly NamePart[]): Uint8Array {
  return derSequence(...parts.map(relativeName));
}

/** DER of a Name that is one CN. @throws {RangeError} for an empty text or one over 64 characters */
export function commonNameOnly(commonName: string): Uint8Array {
  return distinguishedName([[ATTRIBUTE.COMMON_NAME, commonName]]);
}

function relativeName([type, text]: NamePart): Uint8Array {
  if (text.length === 0 || text.length > MAX_TEXT) {
    throw new RangeError(`a name of 1 to ${MAX_TEXT} characters is expected, ${text.length} came`);
  }
  return der(TAG.SET, derSequence(derOid(type), der(TAG.UTF8_STRING, Buffer.from(text, 'utf8'))));
}
