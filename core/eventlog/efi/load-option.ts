import { Reader } from '../../bytes/reader.ts';
import { utf16Text } from './text.ts';

/** EFI_LOAD_OPTION (UEFI 2.11, 3.1.3): what Boot#### holds. */
export interface EfiLoadOption {
  /** LOAD_OPTION_ACTIVE. */
  readonly active: boolean;
  readonly attributes: number;
  /** Show it through `printable`. */
  readonly description: string;
  /** Device paths, the first one of what is loaded: see device-path.ts. */
  readonly filePathList: Uint8Array;
  readonly optionalData: Uint8Array;
}

const MAX_DESCRIPTION_BYTES = 1024;

/** @throws {ParseError} unless description and file path are whole; what follows is optional data */
export function parseLoadOption(bytes: Uint8Array, offset = 0): EfiLoadOption {
  const reader = new Reader(bytes, 'EFI_LOAD_OPTION', offset);
  const attributes = reader.u32le('attributes');
  const filePathListLength = reader.u16le('filePathListLength');
  const description = readDescription(reader, bytes, offset);
  const filePathList = reader.raw(filePathListLength, 'filePathList');
  const optionalData = reader.raw(reader.remaining, 'optionalData');
  return { active: (attributes & 1) === 1, attributes, description, filePathList, optionalData };
}

function readDescription(reader: Reader, bytes: Uint8Array, offset: number): string {
  const start = reader.offset - offset;
  let end = start;
  while (end - start < MAX_DESCRIPTION_BYTES && end + 1 < bytes.length) {
    if (bytes[end] === 0 && bytes[end + 1] === 0) {
      return utf16Text(reader.raw(end + 2 - start, 'description'));
    }
    end += 2;
  }
  return reader.fail('description', `no end within ${MAX_DESCRIPTION_BYTES} bytes`);
}
