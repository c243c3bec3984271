import { Reader } from '../../bytes/reader.ts';
import { readGuid } from './guid.ts';
import { utf16Text } from './text.ts';

/** UEFI_VARIABLE_DATA (PC Client Platform Firmware Profile, 10.2.6). */
export interface UefiVariableData {
  readonly variableName: string;
  /** `UnicodeName`: show it through `printable`. */
  readonly unicodeName: string;
  readonly variableData: Uint8Array;
}

/** @throws {ParseError} unless the bytes are exactly one UEFI_VARIABLE_DATA */
export function parseVariableData(bytes: Uint8Array, offset = 0): UefiVariableData {
  const reader = new Reader(bytes, 'UEFI_VARIABLE_DATA', offset);
  const variable = readVariableData(reader);
  reader.end();
  return variable;
}

/** Bytes behind the variable in an authority that shim 15 measured: it counted its structure with padding. */
const SHIM_PADDING_BYTES = 6;

/** One UEFI_VARIABLE_DATA, and whether it stands as shim 15 wrote it. @throws {ParseError} for anything else */
export function parseAuthorityData(
  bytes: Uint8Array,
  offset = 0,
): { readonly variable: UefiVariableData; readonly padded: boolean } {
  const reader = new Reader(bytes, 'UEFI_VARIABLE_DATA', offset);
  const variable = readVariableData(reader);
  const padded = reader.remaining === SHIM_PADDING_BYTES;
  if (!padded) reader.end();
  return { variable, padded };
}

function readVariableData(reader: Reader): UefiVariableData {
  const variableName = readGuid(reader, 'variableName');
  const nameLength = readLength(reader, 'unicodeNameLength');
  const dataLength = readLength(reader, 'variableDataLength');
  const unicodeName = reader.raw(2 * nameLength, 'unicodeName');
  const variableData = reader.raw(dataLength, 'variableData');
  return { variableName, unicodeName: utf16Text(unicodeName), variableData };
}

/** A UINT64 that counts what follows, so that it is small or false. */
export function readLength(reader: Reader, field: string): number {
  const length = reader.u64le(field);
  if (length > BigInt(reader.remaining)) reader.fail(field, `is ${length}, ${reader.remaining} bytes follow`);
  return Number(length);
}
