import { AssayError } from '../../core/errors.ts';
import { ByteSource, type Bytes } from './byte-source.ts';

/** A regular file of a cpio archive. Its content must be read, or left, before the next member comes. */
export interface CpioMember {
  /** As the archive has it, such as `./usr/bin/ls`. */
  readonly name: string;
  readonly content: Bytes;
}

const HEADER_BYTES = 110;
const MAX_NAME_BYTES = 4096;
const TRAILER = 'TRAILER!!!';
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

/** The files of a cpio archive of the form `newc` (cpio(5)), as RPM packages hold one. @throws {AssayError} for another */
export async function* cpioMembers(input: Bytes): AsyncGenerator<CpioMember> {
  const source = new ByteSource(input);
  try {
    for (;;) {
      const { mode, size, nameBytes } = parseHeader(await source.take(HEADER_BYTES));
      const padded = HEADER_BYTES + nameBytes + paddingOf(HEADER_BYTES + nameBytes);
      const name = text(await source.take(padded - HEADER_BYTES), 0, nameBytes - 1);
      if (name === TRAILER) return;
      const content = source.stream(size);
      if ((mode & S_IFMT) === S_IFREG) yield { name, content };
      // What nobody read is skipped, so that the next can come.
      for await (const _ of content);
      await source.take(paddingOf(size));
    }
  } finally {
    await source.close();
  }
}

function parseHeader(header: Uint8Array) {
  const magic = text(header, 0, 6);
  if (magic !== '070701' && magic !== '070702') throw broken('it is not of the form "newc"');
  const field = (index: number) => {
    const digits = text(header, 6 + 8 * index, 14 + 8 * index);
    if (!/^[0-9a-f]{8}$/i.test(digits)) throw broken('a header holds no number');
    return Number.parseInt(digits, 16);
  };
  const nameBytes = field(11);
  if (nameBytes < 1 || nameBytes > MAX_NAME_BYTES) throw broken(`a name has ${nameBytes} bytes`);
  return { mode: field(1), size: field(6), nameBytes };
}

/** Everything is padded to a multiple of four. */
function paddingOf(length: number): number {
  return (4 - (length % 4)) % 4;
}

function text(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8', start, end);
}

function broken(problem: string): AssayError {
  return new AssayError('invalid-request', `its cpio archive cannot be read: ${problem}`);
}
