import { gzipSync, zstdCompressSync } from 'node:zlib';
import { DigestSetBuilder } from '../../../policies/digests/build.ts';
import { chunkOf, unpackSmall } from '../../../policies/importers/archive.ts';
import { cpioMembers } from '../../../policies/importers/cpio.ts';
import { importDeb } from '../../../policies/importers/deb.ts';
import { parseDebianIndex } from '../../../policies/importers/debian-index.ts';
import { ImportSink } from '../../../policies/importers/report.ts';
import { importTar } from '../../../policies/importers/rootfs.ts';
import { importRpm } from '../../../policies/importers/rpm.ts';
import { bytesOf, target, vectorFile } from './target.ts';

const RULES = { mergedUsr: true };
const sink = () => new ImportSink(new DigestSetBuilder());
const packages = (...names: string[]) => names.map((name) => vectorFile(`packages/${name}`));

/** A header of cpio's form newc. */
function cpioHeader(name: string, size: number): string {
  const fields = [1, 0o100644, 0, 0, 1, 0, size, 0, 0, 0, 0, name.length + 1, 0];
  return `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
}

const CPIO = bytesOf(`${cpioHeader('./a', 4)}\0\0body${cpioHeader('TRAILER!!!', 0)}\0\0\0`);
const INDEX = bytesOf(`Package: a\nVersion: 1\nFilename: pool/a.deb\nSHA256: ${'0'.repeat(64)}\n`);

/** A header of tar's form ustar. */
function tarOf(name: string, content: string): Uint8Array {
  const header = Buffer.alloc(512);
  header.write(name);
  header.write('0000644\0', 100);
  header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
  header.write('        ', 148);
  header.write('0ustar\x0000', 156);
  const sum = header.reduce((total, octet) => total + octet, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, Buffer.from(content.padEnd(512, '\0')), Buffer.alloc(1024)]);
}

/** What unpacks as it reads. */
export const ARCHIVE_TARGETS = [
  target(
    'tar',
    () => [tarOf('./a', 'text'), gzipSync(tarOf('./b', 'MZ')), ...packages('blocks-sha256.tar.xz')],
    (bytes) => importTar(chunkOf(bytes), sink(), RULES),
    { words: ['ustar', '\0\0'] },
  ),
  target(
    'deb',
    () => packages('tool-gzip.deb', 'tool-xz.deb', 'tool-zstd.deb', 'boot-xz.deb'),
    (bytes) => importDeb(bytes, sink(), RULES),
  ),
  target(
    'rpm',
    () => packages('tool-gzip.rpm', 'boot-xz.rpm', 'boot-zstd.rpm'),
    (bytes) => importRpm(bytes, sink()),
  ),
  target(
    'cpio',
    () => [CPIO],
    async (bytes) => {
      for await (const { content } of cpioMembers(chunkOf(bytes))) for await (const _ of content);
    },
    { words: ['070701', 'TRAILER!!!'] },
  ),
  target(
    'debian-index',
    () => [INDEX, zstdCompressSync(INDEX)],
    async (bytes) => {
      await unpackSmall(bytes);
      await parseDebianIndex(bytes);
    },
    { words: ['\n\n', 'SHA256: ', ' '] },
  ),
];
