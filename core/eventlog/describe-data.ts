import { printable, toHex } from '../bytes/encoding.ts';
import { Reader } from '../bytes/reader.ts';
import { ParseError } from '../errors.ts';
import { parseTaggedEvents, type TaggedEvent } from './content/tagged.ts';
import type { NoActionEvent } from './content/types.ts';
import { type WindowsEvent, windowsEvents } from './content/windows.ts';
import { byteText, looksUtf16, utf16Text } from './efi/text.ts';

const MAX_BYTES_SHOWN = 32;
const MAX_CHILDREN = 64;
const MAX_TEXT = 8192;
const ASCII = /^[\x20-\x7e]+\0*$/;

/** Bytes of no known form: a text in quotes, or their beginning in hex. */
export function describeBytes(bytes: Uint8Array): string {
  const text = bytes.length <= 1024 ? Buffer.from(bytes).toString('latin1') : '';
  return ASCII.test(text) ? `"${printable(text.replace(/\0+$/, ''))}"` : hexText(bytes);
}

export function hexText(bytes: Uint8Array): string {
  const start = toHex(bytes.subarray(0, MAX_BYTES_SHOWN));
  return bytes.length > MAX_BYTES_SHOWN ? `${start}… (${bytes.length} bytes)` : start;
}

/** EV_NO_ACTION: what its signature says that follows (PC Client Platform Firmware Profile, 10.4.5). */
export function describeNoAction({ signature, data }: NoActionEvent): string {
  try {
    if (signature === 'StartupLocality') return `StartupLocality ${locality(data)}`;
    if (SP800_155.test(signature)) return `${signature}: ${platform(signature, data)}`;
    return printable(signature) || describeTags(parseTaggedEvents(data));
  } catch (error) {
    if (error instanceof ParseError) return printable(signature) || hexText(data);
    throw error;
  }
}

const SIGNATURE_BYTES = 16;
const SP800_155 = /^SP800-155 Event[23]$/;

function locality(data: Uint8Array): number {
  return new Reader(data.subarray(SIGNATURE_BYTES), 'TCG_EfiStartupLocalityEvent').u8('startupLocality');
}

/** TCG_Sp800_155_PlatformId_Event2 and Event3: whose platform it is, and where its reference manifest lies. */
function platform(signature: string, data: Uint8Array): string {
  const reader = new Reader(data.subarray(SIGNATURE_BYTES), 'TCG_Sp800_155_PlatformId_Event');
  const text = (field: string) => printable(byteText(reader.raw(reader.u8(field), field)));
  reader.u32le('vendorId');
  reader.raw(16, 'referenceManifestGuid');
  const model = ['platformManufacturer', 'platformModel', 'platformVersion'].map(text);
  const maker = text('firmwareManufacturer');
  reader.u32le('firmwareManufacturerId');
  const said = `${model.join(' ').trim()}, firmware ${maker} ${text('firmwareVersion')}`.trimEnd();
  return signature.endsWith('3') ? `${said}, manifest ${locator(reader)}` : said;
}

function locator(reader: Reader): string {
  const type = reader.u32le('rimLocatorType');
  const place = reader.raw(reader.u32le('rimLocatorLength'), 'rimLocator');
  return type === 1 ? printable(byteText(place)) : describeBytes(place);
}

/** Tagged events, those of Windows with what they hold. */
export function describeTags(tags: readonly TaggedEvent[]): string {
  const text = describeEvents(windowsEvents(tags));
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}

function describeEvents(events: readonly WindowsEvent[]): string {
  const shown = events.slice(0, MAX_CHILDREN).map(describeEvent).join(', ');
  return events.length > MAX_CHILDREN ? `${shown}, and ${events.length - MAX_CHILDREN} more` : shown;
}

function describeEvent({ name, type, data, children }: WindowsEvent): string {
  if (children.length > 0) return `${name} (${describeEvents(children)})`;
  return name.startsWith('unknown') ? describeTag(type, data) : `${name} ${windowsValue(data)}`.trimEnd();
}

/** One tag by its number. */
export function describeTag(id: number, data: Uint8Array): string {
  const text = data.length > 0 && data.every((byte) => byte === 0 || (byte >= 0x20 && byte < 0x7f));
  const value = text ? printable(String.fromCharCode(...data.filter((byte) => byte !== 0))) : hexText(data);
  return `tag 0x${id.toString(16)} ${value}`;
}

/** A text in UTF-16, a number in little-endian, or bytes. */
function windowsValue(data: Uint8Array): string {
  const text = looksUtf16(data) ? utf16Text(data).replace(/\0+$/, '') : '';
  // A small number could be one letter.
  const isNumber = [1, 2, 4, 8].includes(data.length) && !/^[\x20-\x7e]{3,}$/.test(text);
  if (isNumber) return BigInt(`0x${toHex(data.slice().reverse())}`).toString();
  return printable(text) || hexText(data);
}
