import { Readable } from 'node:stream';
import { createGunzip, createZstdDecompress, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import XzDecompress from 'xz-decompress';
import { AssayError } from '../../core/errors.ts';

/** Longest content that one archive may unpack to: a bomb must not fill the memory or the day. */
const MAX_UNPACKED_BYTES = 16 * 1024 * 1024 * 1024;
const MAX_SMALL_BYTES = 64 * 1024 * 1024;

export type Bytes = AsyncIterable<Uint8Array>;

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
  const first = await iterator.next();
  const head = first.done ? new Uint8Array() : first.value;
  const source = Readable.from(join(head, iterator));
  let total = 0;
  for await (const chunk of unpacker(head, source)) {
    total += chunk.length;
    if (total > MAX_UNPACKED_BYTES) throw tooLarge();
    yield chunk;
  }
}

function unpacker(head: Uint8Array, source: Readable): AsyncIterable<Uint8Array> {
  if (startsWith(head, [0x1f, 0x8b])) return source.pipe(createGunzip());
  if (startsWith(head, [0x28, 0xb5, 0x2f, 0xfd])) return source.pipe(createZstdDecompress());
  if (startsWith(head, [0xfd, 0x37, 0x7a, 0x58, 0x5a])) {
    return new XzDecompress.XzReadableStream(Readable.toWeb(source) as ReadableStream<Uint8Array>);
  }
  if (startsWith(head, [0x42, 0x5a, 0x68])) throw unsupported('bzip2');
  return source;
}

async function* join(head: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** The members of a tar archive, plain or compressed. @throws {AssayError} for what is no tar archive */
export async function* tarMembers(input: Bytes): AsyncGenerator<TarMember> {
  const unpack = extract();
  const feed = pump(decompressed(input), unpack);
  feed.catch((error: Error) => unpack.destroy(error));
  try {
    for await (const entry of unpack) {
      const { name, type, linkname } = entry.header;
      yield { name, type, linkName: linkname ?? '', content: bytesOf(entry) };
      // What nobody read is skipped, so that the next can come.
      entry.resume();
    }
    await feed;
  } catch (cause) {
    if (cause instanceof AssayError) throw cause;
    throw new AssayError('invalid-request', `the archive cannot be unpacked: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function* bytesOf(entry: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const chunk of entry) if (chunk instanceof Uint8Array) yield chunk;
}

async function pump(source: Bytes, target: ReturnType<typeof extract>): Promise<void> {
  for await (const chunk of source) {
    if (!target.write(chunk)) await new Promise<void>((resolve) => target.once('drain', () => resolve()));
  }
  target.end(undefined);
}

/** A small file that may be compressed, such as the index of a repository. */
export async function unpackSmall(bytes: Uint8Array): Promise<Uint8Array> {
  const limit = { maxOutputLength: MAX_SMALL_BYTES };
  if (startsWith(bytes, [0x1f, 0x8b])) return gunzipSync(bytes, limit);
  if (startsWith(bytes, [0x28, 0xb5, 0x2f, 0xfd])) return zstdDecompressSync(bytes, limit);
  return collect(decompressed(chunkOf(bytes)), MAX_SMALL_BYTES);
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
  return new AssayError('invalid-request', `${what} is not supported; unpack the archive first`);
}
