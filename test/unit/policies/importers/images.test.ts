import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { pack } from 'tar-stream';
import { describe, expect, test } from 'vitest';
import { authenticodeDigest } from '../../../../core/pe/authenticode.ts';
import { chunkOf } from '../../../../policies/importers/archive.ts';
import { readContent } from '../../../../policies/importers/content.ts';
import { importDeb } from '../../../../policies/importers/deb.ts';
import { importTar } from '../../../../policies/importers/rootfs.ts';
import { importRpm } from '../../../../policies/importers/rpm.ts';
import { peImage } from '../../../fakes/pe-image.ts';
import { importing, packageFile } from './importing.ts';

const MERGED = { mergedUsr: true };
const SIGNED = new Uint8Array(
  readFileSync(new URL('../../../vectors/pe/signed-sbsign.efi', import.meta.url)),
);
const short = (digest: Uint8Array) => Buffer.from(digest).toString('hex').slice(0, 8);

// The packages hold an image that is signed, the same before that, another one as gzip, and a program for DOS.
const PLACES = ['/boot/vmlinuz-1', '/usr/lib/tiny/tiny.efi', '/usr/lib/tiny/tiny.efi.signed'];
const SHA256 = [
  '/boot/vmlinuz-1 authenticode-sha256 b44be44b',
  '/usr/lib/tiny/tiny.efi authenticode-sha256 06075b53',
  '/usr/lib/tiny/tiny.efi authenticode-sha256 66cf08fe',
  '/usr/lib/tiny/tiny.efi.signed authenticode-sha256 66cf08fe',
];

describe('EFI images of a package', () => {
  test.each([
    ['boot-xz.deb', 'assay-boot 1.2-3 all', importDeb],
    ['boot-gzip.rpm', 'assay-boot 1.2-3 noarch', importRpm],
    ['boot-xz.rpm', 'assay-boot 1.2-3 noarch', importRpm],
    ['boot-zstd.rpm', 'assay-boot 1.2-3 noarch', importRpm],
  ] as const)(
    '%s: each by its Authenticode digests, as signed and as it will be',
    async (name, from, work) => {
      const { files, taken, images, skipped } = await importing((sink) =>
        work(packageFile(name), sink, MERGED),
      );
      expect(files.filter((file) => file.includes('authenticode-sha256'))).toEqual(
        SHA256.map((file) => `${file} ${from}`),
      );
      expect(files.filter((file) => file.includes('authenticode-sha384'))).toHaveLength(4);
      expect(files.filter((file) => file.includes(' sha256 '))).toHaveLength(4);
      expect({ taken, images, skipped }).toEqual({ taken: 4, images: PLACES.length, skipped: [] });
    },
  );

  test('of a payload that cannot be unpacked are not there, and that is said', async () => {
    const { taken, images, skipped } = await importing((sink) =>
      importRpm(packageFile('boot-bzip2.rpm'), sink),
    );
    expect({ taken, images }).toEqual({ taken: 4, images: 0 });
    expect(skipped).toMatchObject([
      { count: 1, examples: ['assay-boot'], reason: expect.stringContaining('bzip2 is not supported') },
    ]);
  });
});

test('an image of a file system is known at its path, and at a hard link to it', async () => {
  const archive = pack();
  archive.entry({ name: './boot/vmlinuz' }, Buffer.from(SIGNED));
  archive.entry({ name: './vmlinuz', type: 'link', linkname: './boot/vmlinuz' });
  archive.finalize();
  const { files, taken, images } = await importing((sink) => importTar(bytesOf(archive), sink, MERGED));
  const digest = short(authenticodeDigest(SIGNED, 'sha256'));
  expect(files).toEqual(expect.arrayContaining([`/boot/vmlinuz authenticode-sha256 ${digest}`]));
  expect(files).toEqual(expect.arrayContaining([`/vmlinuz authenticode-sha256 ${digest}`]));
  expect({ taken, images }).toEqual({ taken: 2, images: 2 });
});

describe('what is read of a file', () => {
  test('is the same, however it comes', async () => {
    async function* bit(size: number): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < SIGNED.length; at += size) yield SIGNED.subarray(at, at + size);
    }
    const whole = await readContent(chunkOf(SIGNED));
    expect(whole.sha256).toEqual(new Uint8Array(createHash('sha256').update(SIGNED).digest()));
    for (const size of [1, 7, 511, 512, 513]) expect(await readContent(bit(size))).toEqual(whole);
  });

  test.each([
    ['nothing', new Uint8Array()],
    ['one byte', Uint8Array.of(0x4d)],
    ['a program for DOS', Buffer.from('MZ and no more')],
    ['a program for Windows', peImage({ subsystem: 3 })],
    ['gzip of a text', gzipSync('MY text')],
    ['broken gzip of an image', gzipSync(SIGNED).subarray(0, 600)],
  ])('%s is no EFI image', async (_what, bytes) => {
    expect(await readContent(chunkOf(bytes))).toMatchObject({ images: [] });
  });

  test('an EFI image that is broken is told', async () => {
    const cut = SIGNED.subarray(0, 0x480);
    const { images, problem } = await readContent(chunkOf(cut));
    expect(images).toEqual([]);
    expect(problem).toContain('a section ends at');
  });
});

async function* bytesOf(archive: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const part of archive) if (part instanceof Uint8Array) yield part;
}
