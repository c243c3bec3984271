import { hash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { detectFormat } from '../../../../cli/digests/formats.ts';
import { type ImportOptions, importSources } from '../../../../cli/digests/import.ts';

const vector = (name: string) => fileURLToPath(new URL(`../../../vectors/${name}`, import.meta.url));
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'assay-digests-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('a source is told by what it holds', () => {
  test.each([
    ['!<arch>\ndebian-binary', 'deb'],
    ['\xed\xab\xee\xdb\x03', 'rpm'],
    ['\x1f\x8b\x08', 'tar'],
    ['\x28\xb5\x2f\xfd', 'tar'],
    [`10 ${'0'.repeat(40)} ima-ng`, 'ima'],
    ['\x0a\0\0\0xxxx', 'ima'],
    ['{"bomFormat": "CycloneDX"}', 'cyclonedx'],
    ['{"spdxVersion":"SPDX-2.3"}', 'spdx'],
    ['{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}', 'spdx'],
    ['{"descriptor":{"name":"syft"},"artifacts":[]}', 'syft'],
    ['{"meta":{"version":1},"digests":{}}', 'keylime'],
  ])('%j is %s', (head, format) => {
    expect(detectFormat('x', Buffer.from(head, 'latin1'), () => head)).toBe(format);
  });

  test.each(['root:x:0:0', '{"a":1}', ''])('%j is refused with the list of formats', (head) => {
    expect(() => detectFormat('x', Buffer.from(head), () => head)).toThrow(
      /--format, one of:\n {2}cyclonedx:/,
    );
  });
});

test('packages of both kinds join in one set', async () => {
  const { set, report } = await read(vector('packages/tool-xz.deb'), vector('packages/tool-zstd.rpm'));
  expect(set.packages).toEqual([
    { name: 'assay-tool', version: '1.2-3', arch: 'all' },
    { name: 'assay-tool', version: '2:1.2-3', arch: 'noarch' },
  ]);
  expect(set.sources.map(({ kind }) => kind)).toEqual(['deb', 'rpm']);
  expect(report.taken).toBe(7);
});

test('a directory and an archive of it have the same files; links and other things are no files', async () => {
  await mkdir(join(directory, 'usr/bin'), { recursive: true });
  await writeFile(join(directory, 'usr/bin/tool'), 'tool');
  await symlink('usr/bin', join(directory, 'bin'));
  const { set } = await read(directory);
  expect(set.size).toBe(1);
  expect(set.allows(Buffer.from('/usr/bin/tool'), 'sha256', hash('sha256', 'tool', 'buffer'))).toBe(true);
});

test('a list of a node is learned, and the set says so', async () => {
  for (const form of ['ascii', 'binary']) {
    const { set, report } = await read(vector(`ima/ima-critical-data/${form}_runtime_measurements`));
    expect(set.sources[0]?.kind).toBe('learned');
    expect(set.filesAt(Buffer.from('/usr/bin/dash'))).toHaveLength(1);
    expect(report.skipped).toEqual([
      {
        reason: 'a measured buffer: name it in buffers',
        count: 4,
        examples: expect.arrayContaining(['kernel_version']),
      },
    ]);
  }
});

test('a Debian repository: every package of its indexes that is what they say', async () => {
  const deb = 'pool/t/tool.deb';
  await mkdir(join(directory, 'dists/stable/main/binary-all'), { recursive: true });
  await mkdir(join(directory, 'pool/t'), { recursive: true });
  const bytes = await readFile(vector('packages/tool-gzip.deb'));
  await writeFile(join(directory, deb), bytes);
  const stanza = `Package: assay-tool\nVersion: 1.2-3\nFilename: ${deb}\nSHA256: ${hash('sha256', bytes)}\n`;
  const gone = `Package: gone\nVersion: 1\nFilename: pool/gone.deb\nSHA256: ${'0'.repeat(64)}\n`;
  const index = join(directory, 'dists/stable/main/binary-all/Packages');
  await writeFile(index, `${stanza}\n${gone}`);
  await writeFile(`${index}.gz`, gzipSync(stanza));
  const { set, report } = await read(directory);
  expect(set.size).toBe(5);
  expect(report.skipped.map(({ examples }) => examples[0])).toEqual(['pool/gone.deb']);
});

test('what cannot be read is an error with its name', async () => {
  await expect(read(join(directory, 'none'))).rejects.toThrow(/cannot read .*none: ENOENT/);
});

function read(...sources: string[]) {
  const options: ImportOptions = { sources, root: '/', rules: { mergedUsr: true }, onProgress: () => {} };
  return importSources(options);
}
