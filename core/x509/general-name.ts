import { type DerReader, explicitTag, implicitTag, TAG } from './der.ts';
import { readAscii } from './der-values.ts';
import { type Name, readName } from './name.ts';

/** GeneralName (RFC 5280, 4.2.1.6). Text is ASCII without control characters. */
export type GeneralName =
  | { readonly type: 'dns' | 'email' | 'uri'; readonly value: string }
  /** 4 or 16 bytes; in a name constraint 8 or 32, the second half being the mask. */
  | { readonly type: 'ip'; readonly value: Uint8Array }
  | { readonly type: 'directoryName'; readonly name: Name }
  /** otherName, x400Address, ediPartyName and registeredID: kept, not interpreted. */
  | { readonly type: 'other'; readonly tag: number; readonly raw: Uint8Array };

const TEXT_TYPES: ReadonlyMap<number, 'dns' | 'email' | 'uri'> = new Map([
  [implicitTag(1), 'email'],
  [implicitTag(2), 'dns'],
  [implicitTag(6), 'uri'],
]);
const DIRECTORY_NAME = explicitTag(4);
const IP_ADDRESS = implicitTag(7);
const OTHERS = new Set([explicitTag(0), explicitTag(3), explicitTag(5), implicitTag(8)]);
const MAX_NAMES = 256;

/** Address lengths of a certificate's own names. */
const ADDRESS_LENGTHS = [4, 16];

/** The next GeneralName. @param addressLengths bytes that an iPAddress may have */
export function readGeneralName(
  reader: DerReader,
  field: string,
  addressLengths: readonly number[] = ADDRESS_LENGTHS,
): GeneralName {
  for (const [tag, type] of TEXT_TYPES) {
    if (reader.peek(tag)) return { type, value: readPlainText(reader, tag, `${field}.${type}`) };
  }
  if (reader.peek(DIRECTORY_NAME)) return readDirectoryName(reader, field);
  const element = reader.any(field);
  if (element.tag === IP_ADDRESS) {
    if (!addressLengths.includes(element.value.length)) {
      reader.fail(
        `${field}.ip`,
        `has ${element.value.length} bytes, ${addressLengths.join(' or ')} expected`,
      );
    }
    return { type: 'ip', value: element.value };
  }
  if (!OTHERS.has(element.tag)) reader.fail(field, 'is no general name', 'bytes.known');
  return { type: 'other', tag: element.tag, raw: element.raw };
}

/** GeneralNames: at least one. @param tag of the list, when it is not a SEQUENCE */
export function readGeneralNames(
  reader: DerReader,
  field: string,
  tag: number = TAG.SEQUENCE,
): GeneralName[] {
  const list = reader.nested(tag, field);
  const names: GeneralName[] = [];
  do {
    if (names.length === MAX_NAMES) list.fail('name', `is over the limit of ${MAX_NAMES}`);
    names.push(readGeneralName(list, 'name'));
  } while (!list.done);
  return names;
}

function readDirectoryName(reader: DerReader, field: string): GeneralName {
  const inner = reader.nested(DIRECTORY_NAME, field);
  const name = readName(inner, 'directoryName');
  inner.end();
  return { type: 'directoryName', name };
}

function readPlainText(reader: DerReader, tag: number, field: string): string {
  const text = readAscii(reader, tag, field);
  // A name with a NUL or a line break in it reads differently to different programs.
  if (!/^[\x20-\x7e]*$/.test(text)) reader.fail(field, 'holds a control character');
  return text;
}
