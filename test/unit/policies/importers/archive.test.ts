import { hash } from 'node:crypto';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { AssayError } from '../../../../core/errors.ts';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import { chunkOf, collect, tarMembers, unpackSmall } from '../../../../policies/importers/archive.ts';
import { importDeb } from '../../../../policies/importers/deb.ts';
import { ImportSink } from '../../../../policies/importers/report.ts';
import { importing, packageFile } from './importing.ts';

const MERGED = { mergedUsr: true };
const LONG = Buffer.alloc(400_000, 'text ');

const archive = pack();
archive.entry({ name: 'first' }, 'one');
archive.entry({ name: 'long' }, LONG);
archive.finalize();
const parts: Uint8Array[] = [];
for await (const part of archive) if (part instanceof Uint8Array) parts.push(part);
const tar = Buffer.concat(parts);

async function read(bytes: Uint8Array): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, content } of tarMembers(chunkOf(bytes))) {
    found[name] = hash('sha256', await collect(content, 2 ** 20));
  }
  return found;
}

test.each([
  ['plain', tar],
  ['gzip', gzipSync(tar)],
  ['zstd', zstdCompressSync(tar)],
])('%s: members with their content, and an AssayError wherever it is cut off', async (_name, bytes) => {
  const expected = { first: hash('sha256', 'one'), long: hash('sha256', LONG) };
  expect(await read(bytes)).toEqual(expected);
  for (let length = 1; length < bytes.length; length += Math.ceil(bytes.length / 97)) {
    await expect(read(bytes.subarray(0, length))).rejects.toBeInstanceOf(AssayError);
  }
});

// By xz 5.4 with --check=sha256 --block-size=65536: rpm writes such a check, and the unpacker knows none of them.
describe('xz with SHA-256', () => {
  const bytes = packageFile('blocks-sha256.tar.xz');

  test('is unpacked, and its blocks are checked', async () => {
    expect(await read(bytes)).toEqual({
      ...{ first: hash('sha256', 'one'), long: hash('sha256', 't'.repeat(150_000)) },
      noise: '386a3e18f359c39452df5f36da7146c4f7af6d26d713accae295c974c9562ad5',
    });
  });

  test('is refused wherever it is cut off, and when it has something behind it', async () => {
    for (let length = 1; length < bytes.length; length += 41) {
      await expect(read(bytes.subarray(0, length))).rejects.toBeInstanceOf(AssayError);
    }
    await expect(read(Buffer.concat([bytes, bytes]))).rejects.toThrow('more than one stream');
    expect(Object.keys(await read(Buffer.concat([bytes, new Uint8Array(8)])))).toHaveLength(3);
  });

  test('any changed byte of what is packed is seen', async () => {
    const good = await read(bytes);
    const unseen: number[] = [];
    for (let at = 12; at < bytes.length; at += 5) {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      const result = await read(changed).catch((error: unknown) => error);
      if (!(result instanceof AssayError)) unseen.push(at);
      if (!(result instanceof AssayError)) expect(result).toEqual(good);
    }
    // What is not read is the index behind the blocks, which is written anew.
    expect(Math.min(...unseen)).toBeGreaterThan(bytes.length - 60);
  });
});

test.each(['tool-gzip.deb', 'tool-xz.deb', 'tool-zstd.deb'])('%s: every prefix is refused', async (name) => {
  const bytes = packageFile(name);
  // The last byte may only pad the archive to an even length.
  for (let length = 0; length < bytes.length - 1; length += 3) {
    const sink = new ImportSink(new DigestSetBuilder());
    await expect(importDeb(bytes.subarray(0, length), sink, MERGED)).rejects.toBeInstanceOf(AssayError);
  }
});

// Its control archive is longer than what is unpacked at once, and nobody reads it to the end: the next one, of the
// same compression, must come all the same.
test('a package with a large control archive is read, again and again', async () => {
  for (let times = 0; times < 3; times += 1) {
    const { files } = await importing((sink) =>
      importDeb(packageFile('tool-large-control.deb'), sink, MERGED),
    );
    expect(files).toHaveLength(1);
  }
});

test('what somebody stops to read is closed, however it is packed', async () => {
  let closed = 0;
  async function* source(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    try {
      for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
    } finally {
      closed += 1;
    }
  }
  for (const bytes of [tar, gzipSync(tar, { level: 0 }), zstdCompressSync(tar)]) {
    for await (const { name } of tarMembers(source(bytes))) {
      expect(name).toBe('first');
      break;
    }
  }
  await expect.poll(() => closed).toBe(3);
});

test('more than one zstd frame is refused: the second would be lost', async () => {
  const halves = [tar.subarray(0, 200_000), tar.subarray(200_000)].map((half) => zstdCompressSync(half));
  await expect(read(Buffer.concat(halves))).rejects.toThrow('more than one zstd frame');
  await expect(unpackSmall(Buffer.concat(halves))).rejects.toThrow('more than one zstd frame');
  await expect(unpackSmall(zstdCompressSync(tar))).resolves.toEqual(tar);
});

test.each([
  ['bzip2', 'BZh91AY&SY'],
  ['lzma', ']\0\0\x80\0'],
])('%s is refused by its name', async (name, head) => {
  await expect(read(Buffer.from(head, 'latin1'))).rejects.toThrow(
    `${name} is not supported; unpack it and import the directory`,
  );
});
