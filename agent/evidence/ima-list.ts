import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { openIfThere } from '../files.ts';

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
  const file = path === null ? undefined : await openIfThere(path);
  if (!file) return undefined;
  const from = (await reaches(file, wanted.offset)) ? wanted : BEGINNING;
  return {
    from,
    stream: () => file.createReadStream({ start: from.offset, highWaterMark: CHUNK_BYTES }),
  };
}

// A file of securityfs has no size: only reading tells how long it is.
async function reaches(file: FileHandle, offset: number): Promise<boolean> {
  if (offset === 0) return true;
  try {
    const { bytesRead } = await file.read(Buffer.alloc(1), 0, 1, offset - 1);
    return bytesRead === 1;
  } catch (error) {
    await file.close();
    throw error;
  }
}
