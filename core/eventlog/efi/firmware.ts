import { Reader } from '../../bytes/reader.ts';
import { readGuid } from './guid.ts';
import { byteText } from './text.ts';

/** UEFI_PLATFORM_FIRMWARE_BLOB and _BLOB2 (PC Client Platform Firmware Profile, 10.2.3): where measured code lies. */
export interface FirmwareBlob {
  readonly blobBase: bigint;
  readonly blobLength: bigint;
  /** Only the second form has one; show it through `printable`. */
  readonly blobDescription: string | undefined;
}

/** UEFI_HANDOFF_TABLE_POINTERS and _POINTERS2 (10.2.4): tables such as SMBIOS that were measured. */
export interface HandoffTables {
  readonly tableDescription: string | undefined;
  readonly tables: readonly { readonly vendorGuid: string; readonly vendorTable: bigint }[];
}

const MAX_TABLES = 256n;

/** @throws {ParseError} unless the bytes are exactly one UEFI_PLATFORM_FIRMWARE_BLOB */
export function parseFirmwareBlob(bytes: Uint8Array, offset = 0): FirmwareBlob {
  return readBlob(new Reader(bytes, 'UEFI_PLATFORM_FIRMWARE_BLOB', offset), undefined);
}

/** @throws {ParseError} unless the bytes are exactly one UEFI_PLATFORM_FIRMWARE_BLOB2 */
export function parseFirmwareBlob2(bytes: Uint8Array, offset = 0): FirmwareBlob {
  const reader = new Reader(bytes, 'UEFI_PLATFORM_FIRMWARE_BLOB2', offset);
  return readBlob(reader, readDescription(reader, 'blobDescription'));
}

function readBlob(reader: Reader, blobDescription: string | undefined): FirmwareBlob {
  const blobBase = reader.u64le('blobBase');
  const blobLength = reader.u64le('blobLength');
  reader.end();
  return { blobBase, blobLength, blobDescription };
}

/** @throws {ParseError} unless the bytes are exactly one UEFI_HANDOFF_TABLE_POINTERS */
export function parseHandoffTables(bytes: Uint8Array, offset = 0): HandoffTables {
  return readTables(new Reader(bytes, 'UEFI_HANDOFF_TABLE_POINTERS', offset), undefined);
}

/** @throws {ParseError} unless the bytes are exactly one UEFI_HANDOFF_TABLE_POINTERS2 */
export function parseHandoffTables2(bytes: Uint8Array, offset = 0): HandoffTables {
  const reader = new Reader(bytes, 'UEFI_HANDOFF_TABLE_POINTERS2', offset);
  return readTables(reader, readDescription(reader, 'tableDescription'));
}

function readTables(reader: Reader, tableDescription: string | undefined): HandoffTables {
  const count = reader.u64le('numberOfTables');
  if (count > MAX_TABLES) reader.fail('numberOfTables', `${count} is over the limit of ${MAX_TABLES}`);
  const tables = Array.from({ length: Number(count) }, () => ({
    vendorGuid: readGuid(reader, 'vendorGuid'),
    vendorTable: reader.u64le('vendorTable'),
  }));
  reader.end();
  return { tableDescription, tables };
}

function readDescription(reader: Reader, field: string): string {
  return byteText(reader.raw(reader.u8(`${field}Size`), field));
}
