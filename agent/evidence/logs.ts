import type { FileHandle } from 'node:fs/promises';
import { AssayError } from '../../core/errors.ts';
import { openIfThere } from '../files.ts';

export interface LogPaths {
  /** Binary event log of the firmware; null to send none. */
  readonly boot: string | null;
  /** What systemd measured, as JSON; null to send none. */
  readonly userspace: string | null;
  /** IMA's list as text, for verifiers of Keylime; null to send none. */
  readonly ima: string | null;
  /** The same as the kernel hashed it; null to send none. */
  readonly imaBinary: string | null;
}

export interface ImaList {
  readonly text: string;
  /** Number of the first line in `text`. */
  readonly entry: number;
}

const MAX_BOOT_BYTES = 8 * 1024 * 1024;
const MAX_IMA_BYTES = 128 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

/** A whole event log, or nothing where there is none. */
export async function readLog(path: string | null): Promise<Buffer | undefined> {
  return path === null ? undefined : readWhole(path, MAX_BOOT_BYTES);
}

/** Lines from `entry` on; from the start when there are not as many, since the list began anew. */
export async function readImaList(path: string | null, entry: number): Promise<ImaList | undefined> {
  const bytes = path === null ? undefined : await readWhole(path, MAX_IMA_BYTES);
  if (bytes === undefined) return undefined;
  // The kernel may be writing the last line.
  const end = bytes.lastIndexOf(NEWLINE) + 1;
  const start = startOfLine(bytes.subarray(0, end), entry);
  return { text: bytes.toString('utf8', start ?? 0, end), entry: start === undefined ? 0 : entry };
}

/** Offset of a line; the end of the list is the start of the line that comes next. */
function startOfLine(bytes: Buffer, line: number): number | undefined {
  let offset = 0;
  for (let skipped = 0; skipped < line; skipped += 1) {
    const newline = bytes.indexOf(NEWLINE, offset);
    if (newline === -1) return undefined;
    offset = newline + 1;
  }
  return offset;
}

async function readWhole(path: string, maxBytes: number): Promise<Buffer | undefined> {
  const file = await openIfThere(path);
  if (!file) return undefined;
  try {
    return await readBounded(file, path, maxBytes);
  } finally {
    await file.close();
  }
}

// Files of securityfs have no size, so there is nothing to check before reading.
async function readBounded(file: FileHandle, path: string, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let total = 0;
  for (;;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES);
    if (bytesRead === 0) return Buffer.concat(chunks, total);
    total += bytesRead;
    if (total > maxBytes) {
      throw new AssayError('too-large', `${path} is larger than the ${maxBytes} bytes that are sent`);
    }
    chunks.push(buffer.subarray(0, bytesRead));
  }
}
