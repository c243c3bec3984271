import { type Duplex, pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import XzDecompress from 'xz-decompress';
import { AssayError } from '../../core/errors.ts';
import type { Bytes } from './byte-source.ts';
import { BlockChecks, withoutCheck } from './xz.ts';

/** Longest content that one archive may unpack to: a bomb must not fill the memory or the day. */
const MAX_UNPACKED_BYTES = 16 * 1024 * 1024 * 1024;
const MAX_SMALL_BYTES = 64 * 1024 * 1024;

/** A member of a tar archive. Its content must be read before the next member comes. */
export interface TarMember {
  /** As the archive has it, such as `./usr/bin/ls`. */
  readonly name: string;
  readonly type: Header['type'];
  readonly linkName: string;
  readonly content: Bytes;
}

/** Unpacks by what the bytes begin with: gzip, zstd, xz, or nothing at all. */
async function* decompressed(input: Bytes): AsyncGenerator<Uint8Array> {
  const iterator = input[Symbol.asyncIterator]();
  let fed = 0;
  async function* all(head: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let chunk = head; ; ) {
      fed += chunk.length;
      if (chunk.length > 0) yield chunk;
      const next = await iterator.next();
      if (next.done) return;
      chunk = next.value;
    }
  }
  try {
    const first = await iterator.next();
    const head: Uint8Array = first.done ? new Uint8Array() : first.value;
    const unpack = unpacker(head, Readable.from(all(head)));
    let total = 0;
    for await (const chunk of unpack) {
      total += chunk.length;
      if (total > MAX_UNPACKED_BYTES) throw tooLarge();
      yield chunk;
    }
    // Node stops at the end of the first zstd frame.
    const isShort = 'bytesWritten' in unpack && (unpack.bytesWritten < fed || !(await iterator.next()).done);
    if (isShort) throw unsupported('more than one zstd frame in a file');
  } finally {
    await iterator.return?.();
  }
}

interface Unpacker extends AsyncIterable<Uint8Array> {
  /** Of zlib: how much of its input it took. */
  readonly bytesWritten?: number;
}

function unpacker(head: Uint8Array, source: Readable): Unpacker {
  if (startsWith(head, [0x1f, 0x8b])) return through(source, createGunzip());
  if (startsWith(head, [0x28, 0xb5, 0x2f, 0xfd])) return through(source, createZstdDecompress());
  if (startsWith(head, [0xfd, 0x37, 0x7a, 0x58, 0x5a])) return unxz(source);
  if (startsWith(head, [0x42, 0x5a, 0x68])) throw unsupported('bzip2');
  if (startsWith(head, [0x5d, 0x00, 0x00])) throw unsupported('lzma');
  return source;
}

/** What ends one of them, well or not, ends the other; an error is thrown to whoever reads. */
function through<T extends Duplex>(source: Readable, target: T): T {
  pipeline(source, target, () => {});
  return target;
}

/** A code of xz-embedded (xz.h) that does not say that the bytes are broken. */
const XZ_OPTIONS = 6;

async function* unxz(source: Readable): AsyncGenerator<Uint8Array> {
  try {
    const checks = new BlockChecks();
    // Not Readable.toWeb: what it makes ends the process when it is closed while it is read.
    const stream = ReadableStream.from(withoutCheck(source, checks));
    for await (const chunk of new XzDecompress.XzReadableStream(stream)) {
      checks.update(chunk);
      yield chunk;
    }
    checks.update(new Uint8Array());
  } catch (cause) {
    const code = Number(/error code (\d+)/.exec((cause as Error).message)?.[1]);
    if (Number.isNaN(code)) throw cause;
    if (code === XZ_OPTIONS) throw unsupported('xz with another filter than LZMA2');
    throw new Error('the xz data is broken or cut off', { cause });
  }
}

/**
 * The members of a tar archive, plain or compressed. Who stops before the end leaves nothing open.
 *
 * @throws {AssayError} for what is no tar archive
 */
export async function* tarMembers(input: Bytes): AsyncGenerator<TarMember> {
  const unpack = extract();
  pipeline(Readable.from(decompressed(input)), unpack, () => {});
  try {
    for await (const entry of unpack) {
      const { name, type, linkname } = entry.header;
      yield { name, type, linkName: linkname ?? '', content: bytesOf(entry) };
      // What nobody read is skipped, so that the next can come.
      entry.resume();
    }
  } catch (cause) {
    throw cannotUnpack(cause);
  }
}

async function* bytesOf(entry: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of entry) if (chunk instanceof Uint8Array) yield chunk;
  } catch (cause) {
    throw cannotUnpack(cause);
  }
}

function cannotUnpack(cause: unknown): AssayError {
  if (cause instanceof AssayError) return cause;
  const { message } = cause as Error;
  return new AssayError('invalid-request', `the archive cannot be unpacked: ${message}`, { cause });
}

/** Bytes as they are unpacked. @throws {AssayError} for what cannot be */
export function unpacked(input: Bytes): Bytes {
  return bytesOf(decompressed(input));
}

/** A small file that may be compressed, such as the index of a repository. */
export async function unpackSmall(bytes: Uint8Array): Promise<Uint8Array> {
  return collect(unpacked(chunkOf(bytes)), MAX_SMALL_BYTES);
}

export async function collect(input: Bytes, limit: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of input) {
    total += chunk.length;
    if (total > limit) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, total);
}

export async function* chunkOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((octet, index) => bytes[index] === octet);
}

function tooLarge(): AssayError {
  return new AssayError('too-large', 'the archive unpacks to more than is accepted');
}

function unsupported(what: string): AssayError {
  return new AssayError('invalid-request', `${what} is not supported; unpack it and import the directory`);
}
