import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { equalBytes } from '../../core/bytes/encoding.ts';
import { AssayError } from '../../core/errors.ts';
import { ByteSource, type Bytes } from './byte-source.ts';

// What the unpacker knows: none, CRC32 and CRC64 (The .xz File Format, 2.1.1.2).
const KNOWN_CHECKS = new Set([0x00, 0x01, 0x04]);
const CHECK_BYTES: Readonly<Record<number, number>> = { 10: 32 };
const HEADER_BYTES = 12;
const FOOTER_BYTES = 12;
const NO_CHECK = Uint8Array.of(0, 0);
const MAX_BLOCKS = 1_000_000;

interface Block {
  /** Of its header and its data, before it is filled up. */
  readonly unpadded: number;
  readonly unpacked: number;
}

/** Compares what blocks were unpacked to with their SHA-256. */
export class BlockChecks {
  /** Of the blocks that were read so far and not unpacked yet: where each ends. */
  readonly #awaited: { readonly end: number; readonly check: Uint8Array }[] = [];
  #read = 0;
  #unpacked = 0;
  #digest = createHash('sha256');

  /** The next block, which must be said before anything behind it is unpacked. */
  expect(unpacked: number, check: Uint8Array): void {
    this.#read += unpacked;
    this.#awaited.push({ end: this.#read, check });
  }

  /** What was unpacked. @throws {AssayError} when a block is not what was packed */
  update(chunk: Uint8Array): void {
    let rest = chunk;
    for (
      let [block] = this.#awaited;
      block && this.#unpacked + rest.length >= block.end;
      [block] = this.#awaited
    ) {
      const own = block.end - this.#unpacked;
      const digest = this.#digest.update(rest.subarray(0, own)).digest();
      if (!equalBytes(digest, block.check)) throw broken('a block is not what its SHA-256 says');
      this.#digest = createHash('sha256');
      this.#awaited.shift();
      this.#unpacked = block.end;
      rest = rest.subarray(own);
    }
    this.#digest.update(rest);
    this.#unpacked += rest.length;
  }
}

/**
 * The same xz stream without its checks when they are SHA-256, which rpm writes and the unpacker does not know: the data
 * stays as it is, header and index are written anew (The .xz File Format 1.1.0), and the checks are for the caller to
 * compare. Other streams stay as they are.
 *
 * @throws {AssayError} for what is no xz stream, or several
 */
export async function* withoutCheck(input: Bytes, checks: BlockChecks): AsyncGenerator<Uint8Array> {
  const source = new ByteSource(input);
  try {
    const header = await source.take(HEADER_BYTES);
    const check = header[7] ?? 0;
    const checkBytes = CHECK_BYTES[check];
    if (KNOWN_CHECKS.has(check) || checkBytes === undefined) {
      yield header;
      yield* source.rest();
      return;
    }
    yield Buffer.concat([header.subarray(0, 6), NO_CHECK, number32(crc32(NO_CHECK))]);
    const blocks: Block[] = [];
    for (;;) {
      const first = await source.take(1);
      if (first[0] === 0) break;
      if (blocks.length >= MAX_BLOCKS) throw broken('it has too many blocks');
      const block = yield* copyBlock(source, first);
      checks.expect(block.unpacked, await source.take(checkBytes));
      blocks.push(block);
    }
    await skipIndex(source, blocks.length);
    yield writeIndex(blocks);
  } finally {
    await source.close();
  }
}

/** A block but for its check (3). */
async function* copyBlock(source: ByteSource, first: Uint8Array): AsyncGenerator<Uint8Array, Block> {
  const headerBytes = ((first[0] ?? 0) + 1) * 4;
  yield first;
  yield await source.take(headerBytes - 1);
  let [packed, unpacked] = [0, 0];
  for (;;) {
    const control = await source.take(1);
    yield control;
    packed += 1;
    const kind = control[0] ?? 0;
    if (kind === 0) break;
    const chunk = await readChunk(source, kind);
    yield chunk.header;
    yield* source.stream(chunk.packed);
    packed += chunk.header.length + chunk.packed;
    unpacked += chunk.unpacked;
  }
  yield await source.take(paddingOf(packed));
  return { unpadded: headerBytes + packed, unpacked };
}

/** Sizes of a chunk of LZMA2, which is the last filter of every block: stored as it is, or packed. */
async function readChunk(source: ByteSource, kind: number) {
  if (kind < 0x80) {
    if (kind > 2) throw broken('its data is not LZMA2');
    const header = await source.take(2);
    const size = number16(header, 0) + 1;
    return { header, packed: size, unpacked: size };
  }
  // From 0xc0 on properties follow.
  const header = await source.take(kind >= 0xc0 ? 5 : 4);
  const unpacked = ((kind & 0x1f) << 16) + number16(header, 0) + 1;
  return { header, packed: number16(header, 2) + 1, unpacked };
}

/** The index and the footer (4, 2.1.2), which say again what was read; behind them only zeros may stand. */
async function skipIndex(source: ByteSource, blocks: number): Promise<void> {
  let length = 1;
  const next = async () => {
    length += 1;
    return (await source.take(1))[0] ?? 0;
  };
  for (let left = 1 + 2 * blocks; left > 0; ) if ((await next()) < 0x80) left -= 1;
  await source.take(paddingOf(length) + 4 + FOOTER_BYTES);
  for await (const part of source.rest()) {
    if (part.some((octet) => octet !== 0)) throw broken('it has more than one stream, with SHA-256');
  }
}

function writeIndex(blocks: readonly Block[]): Uint8Array {
  const records = blocks.flatMap(({ unpadded, unpacked }) => [...variable(unpadded), ...variable(unpacked)]);
  const plain = [0, ...variable(blocks.length), ...records];
  const index = Buffer.from([...plain, ...new Uint8Array(paddingOf(plain.length))]);
  const size = Buffer.concat([number32((index.length + 4) / 4 - 1), NO_CHECK]);
  return Buffer.concat([index, number32(crc32(index)), number32(crc32(size)), size, Buffer.from('YZ')]);
}

/** A number in groups of seven bits (1.2). */
function variable(value: number): number[] {
  const octets: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) octets.push((left % 0x80) | 0x80);
  return [...octets, left];
}

function number16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function number32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function paddingOf(length: number): number {
  return (4 - (length % 4)) % 4;
}

function broken(problem: string): AssayError {
  return new AssayError('invalid-request', `the xz data cannot be read: ${problem}`);
}
