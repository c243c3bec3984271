import { type FileHandle, open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { isMissing } from '../files.ts';

/** Where a verifier goes on in the kernel's list: behind an entry, which ends at a byte. */
export interface ImaPosition {
  readonly entry: number;
  readonly offset: number;
}

export interface OpenedList {
  /** Where it really starts: at the beginning, when the list is not as long as was said, since it began anew. */
  readonly from: ImaPosition;
  /** The rest of the list, as it grows, without ever being held whole. To be read or destroyed: it closes the file. */
  stream(): Readable;
}

const BEGINNING: ImaPosition = { entry: 0, offset: 0 };
const CHUNK_BYTES = 256 * 1024;

/** Opens `binary_runtime_measurements`; nothing where the kernel has none. */
export async function openImaList(path: string | null, wanted: ImaPosition): Promise<OpenedList | undefined> {
  if (path === null) return undefined;
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  const from = (await reaches(file, wanted.offset)) ? wanted : BEGINNING;
  return {
    from,
    stream: () => file.createReadStream({ start: from.offset, highWaterMark: CHUNK_BYTES }),
  };
}

// A file of securityfs has no size: only reading tells how long it is.
async function reaches(file: FileHandle, offset: number): Promise<boolean> {
  if (offset === 0) return true;
  const { bytesRead } = await file.read(Buffer.alloc(1), 0, 1, offset - 1);
  return bytesRead === 1;
}
