import {
  type FirmwareBlob,
  parseFirmwareBlob,
  parseFirmwareBlob2,
  parseHandoffTables,
  parseHandoffTables2,
} from '../efi/firmware.ts';
import { parseGptData } from '../efi/gpt.ts';
import { parseImageLoadEvent } from '../efi/image-load.ts';
import { looksUtf16, utf16Text } from '../efi/text.ts';
import { plainContent } from './boot-text.ts';
import type { Coverage } from './coverage.ts';
import type { EventContent } from './types.ts';

const BLOB_BYTES = 16;
const PRINTABLE = /^[\x20-\x7e]*\0?$/;
const SEPARATOR_ERROR = Uint8Array.of(1, 0, 0, 0);

/** An image: the digest is the Authenticode digest of a PE file, or of some firmware one of all of it. */
export function imageContent(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  const unverified = parseImageLoadEvent(data, dataOffset);
  return { kind: 'image', ...coverage.unverified('external'), unverified };
}

/** EV_EFI_GPT_EVENT: the digest is of the data. */
export function gptContent(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  const gpt = parseGptData(data, dataOffset);
  if (!coverage.of(data)) return { kind: 'gpt', ...coverage.unverified('data'), unverified: gpt };
  return { kind: 'gpt', verified: true, covers: 'data', proven: gpt, unverified: undefined };
}

/** Code of the firmware, which the data only locates: as a blob of the first form, or as a text (EV_POST_CODE). */
export function codeContent(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  if (isText(data) || data.length !== BLOB_BYTES) return plainContent(coverage, 'external');
  return blobContent(coverage, parseFirmwareBlob(data, dataOffset));
}

/** The same, as a blob of the second form. */
export function code2Content(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  return blobContent(coverage, parseFirmwareBlob2(data, dataOffset));
}

function blobContent(coverage: Coverage, blob: FirmwareBlob): EventContent {
  return coverage.of(coverage.event.data)
    ? { kind: 'firmware-blob', verified: true, covers: 'data', proven: blob, unverified: undefined }
    : { kind: 'firmware-blob', ...coverage.unverified('external'), unverified: blob };
}

/** EV_EFI_HANDOFF_TABLES: the digest is of the tables, which the data only names. */
export function handoffContent(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  const unverified = parseHandoffTables(data, dataOffset);
  return { kind: 'handoff-tables', ...coverage.unverified('external'), unverified };
}

/** EV_EFI_HANDOFF_TABLES2: the same. */
export function handoff2Content(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  const unverified = parseHandoffTables2(data, dataOffset);
  return { kind: 'handoff-tables', ...coverage.unverified('external'), unverified };
}

/** EV_S_CRTM_VERSION: a text in UTF-16, a GUID, or what the vendor likes; the digest is of the data. */
export function versionContent(coverage: Coverage): EventContent {
  const { data } = coverage.event;
  if (!looksUtf16(data))
    return isText(data) ? plainContent(coverage, 'data') : bytesContent(coverage, 'data');
  const text = utf16Text(data);
  const claim = { label: '', encoding: 'utf-16' } as const;
  return coverage.of(data)
    ? { kind: 'text', verified: true, covers: 'data', proven: { text }, unverified: claim }
    : { kind: 'text', ...coverage.unverified('data'), unverified: { text, ...claim } };
}

/** EV_SEPARATOR: the digest is of the data, or of the number 1 where the data tells of an error. */
export function separatorContent(coverage: Coverage): EventContent {
  const { data } = coverage.event;
  if (coverage.of(SEPARATOR_ERROR)) {
    const proven = { meaning: 'error' } as const;
    return {
      kind: 'separator-error',
      verified: true,
      covers: 'separator-error',
      proven,
      unverified: { data },
    };
  }
  const separator = { meaning: separatorMeaning(data), data };
  return coverage.of(data)
    ? { kind: 'separator', verified: true, covers: 'data', proven: separator, unverified: undefined }
    : { kind: 'separator', ...coverage.unverified('data'), unverified: separator };
}

function separatorMeaning(data: Uint8Array): 'zeros' | 'ones' | 'other' {
  if (data.length !== 4) return 'other';
  if (data.every((byte) => byte === 0)) return 'zeros';
  return data.every((byte) => byte === 0xff) ? 'ones' : 'other';
}

/** Data without a known structure, whose digest may be of it; else of what `expected` says. */
export function bytesContent(coverage: Coverage, expected: 'external' | 'data'): EventContent {
  const { data } = coverage.event;
  return coverage.of(data)
    ? { kind: 'bytes', verified: true, covers: 'data', proven: { data }, unverified: undefined }
    : { kind: 'bytes', ...coverage.unverified(expected), unverified: { data } };
}

function isText(data: Uint8Array): boolean {
  return PRINTABLE.test(String.fromCharCode(...data.subarray(0, 512))) && data.length <= 512;
}
