import { printable, toHex } from '../bytes/encoding.ts';
import { type DerReader, TAG } from './der.ts';
import { readOid, stringOf } from './der-values.ts';

/** AttributeTypeAndValue (RFC 5280, 4.1.2.4). */
export interface NameAttribute {
  /** Dotted object identifier. */
  readonly type: string;
  /** DER of the value, with its tag. */
  readonly value: Uint8Array;
  /** The value as text, unescaped; `undefined` unless it is a well-formed string. */
  readonly text: string | undefined;
}

/** Name (RFC 5280, 4.1.2.4). */
export interface Name {
  readonly der: Uint8Array;
  readonly rdns: readonly (readonly NameAttribute[])[];
  /** For people: RFC 4514, most specific part first, with everything unprintable escaped. */
  readonly text: string;
  /** One string for each RDN; two names are the same one exactly when these are (RFC 5280, 7.1). */
  readonly canonical: readonly string[];
}

export const ATTRIBUTE = {
  COMMON_NAME: '2.5.4.3',
  EMAIL_ADDRESS: '1.2.840.113549.1.9.1',
  TPM_MANUFACTURER: '2.23.133.2.1',
  TPM_MODEL: '2.23.133.2.2',
  TPM_VERSION: '2.23.133.2.3',
} as const;

// RFC 4514, section 3, and what OpenSSL shows besides.
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  [ATTRIBUTE.COMMON_NAME, 'CN'],
  ['2.5.4.5', 'serialNumber'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  [ATTRIBUTE.EMAIL_ADDRESS, 'emailAddress'],
]);

const MAX_RDNS = 64;

/** A Name, as a SEQUENCE. Its text is what the issuer chose: show `text`, never an attribute's, unescaped. */
export function readName(reader: DerReader, field: string): Name {
  const element = reader.element(TAG.SEQUENCE, field);
  const list = reader.within(element, field);
  const rdns: NameAttribute[][] = [];
  while (!list.done) {
    if (rdns.length === MAX_RDNS) list.fail('rdn', `is over the limit of ${MAX_RDNS}`);
    rdns.push(readRdn(list));
  }
  return {
    der: element.raw,
    rdns,
    text: rdns.map(renderRdn).reverse().join(','),
    canonical: rdns.map(canonicalRdn),
  };
}

/** The text of the only attribute of a type; `undefined` when there is none or more than one. */
export function onlyAttribute(rdns: Name['rdns'], type: string): string | undefined {
  const [attribute, ...others] = rdns.flat().filter((candidate) => candidate.type === type);
  return others.length === 0 ? attribute?.text : undefined;
}

/** Whether the first RDNs of `name` are those of `start` (RFC 5280, 7.1): case and runs of spaces do not count. */
export function startsWithName(name: Name, start: Name): boolean {
  return start.canonical.every((rdn, i) => name.canonical[i] === rdn);
}

function readRdn(list: DerReader): NameAttribute[] {
  const set = list.nested(TAG.SET, 'rdn');
  const attributes: NameAttribute[] = [];
  let previous: Uint8Array | undefined;
  while (!set.done) {
    const element = set.element(TAG.SEQUENCE, 'attribute');
    if (previous && Buffer.compare(previous, element.raw) > 0) {
      set.tolerate('set-order', 'attribute', 'is not in the order of DER');
    }
    previous = element.raw;
    const pair = set.within(element, 'attribute');
    const type = readOid(pair, 'type');
    const value = pair.any('value');
    pair.end();
    attributes.push({ type, value: value.raw, text: stringOf(value) });
  }
  if (attributes.length === 0) set.fail('attribute', 'is missing');
  return attributes;
}

function renderRdn(attributes: readonly NameAttribute[]): string {
  return attributes.map(renderAttribute).join('+');
}

function renderAttribute({ type, value, text }: NameAttribute): string {
  const short = SHORT_NAMES.get(type);
  return short === undefined || text === undefined
    ? `${short ?? type}=#${toHex(value)}`
    : `${short}=${escapeValue(text)}`;
}

function escapeValue(text: string): string {
  return text
    .replace(/["+,;<>\\]/g, '\\$&')
    .replace(/^[ #]/, '\\$&')
    .replace(/ $/, '\\ ')
    .replace(/[^\\]/gu, (character) =>
      printable(character) === character ? character : hexPairs(character),
    );
}

function hexPairs(character: string): string {
  return toHex(Buffer.from(character, 'utf8')).replace(/../g, '\\$&');
}

function canonicalRdn(attributes: readonly NameAttribute[]): string {
  return JSON.stringify(attributes.map(canonicalAttribute).sort());
}

function canonicalAttribute({ type, value, text }: NameAttribute): string {
  if (text === undefined) return `${type}#${toHex(value)}`;
  const folded = text.replace(/[\t-\r ]+/g, ' ').replace(/^ | $/g, '');
  // ASCII alone is folded: case rules of Unicode would make different names equal.
  return `${type}=${folded.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())}`;
}
