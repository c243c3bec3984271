import { hash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AssayError } from '../../../../core/errors.ts';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import { importDeb } from '../../../../policies/importers/deb.ts';
import { importIndexed, parseDebianIndex } from '../../../../policies/importers/debian-index.ts';
import { ImportSink } from '../../../../policies/importers/report.ts';
import { importRpm } from '../../../../policies/importers/rpm.ts';
import { importing, packageFile } from './importing.ts';

const MERGED = { mergedUsr: true };
const short = (content: string) => hash('sha256', content).slice(0, 8);
const TOOL = '#!/bin/sh\necho tool\n';

describe('a .deb, made by dpkg-deb', () => {
  const expected = [
    `/etc/tool_ü.conf sha256 ${short('name=ü\n')} assay-tool 1.2-3 all`,
    `/usr/bin/old-place sha256 ${short('old place\n')} assay-tool 1.2-3 all`,
    `/usr/bin/tool sha256 ${short(TOOL)} assay-tool 1.2-3 all`,
    `/usr/bin/tool-link sha256 ${short(TOOL)} assay-tool 1.2-3 all`,
    `/usr/share/doc/tool/empty sha256 ${short('')} assay-tool 1.2-3 all`,
  ];

  test.each(['tool-gzip.deb', 'tool-xz.deb', 'tool-zstd.deb'])(
    '%s: every file, hard links too, no links',
    async (name) => {
      const { files, skipped } = await importing((sink) => importDeb(packageFile(name), sink, MERGED));
      expect(files).toEqual(expected);
      expect(skipped).toEqual([]);
    },
  );

  test('keeps /bin apart where /usr is not merged', async () => {
    const { files } = await importing((sink) =>
      importDeb(packageFile('tool-xz.deb'), sink, { mergedUsr: false }),
    );
    expect(files[0]).toContain('/bin/old-place ');
  });

  test('every prefix and any changed byte ends in an error or in a result', async () => {
    const bytes = packageFile('tool-gzip.deb');
    // The last byte only pads the archive to an even length.
    for (let length = 0; length < bytes.length - 1; length += 1) {
      const sink = new ImportSink(new DigestSetBuilder());
      await expect(importDeb(bytes.subarray(0, length), sink, MERGED)).rejects.toBeInstanceOf(AssayError);
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        const sink = new ImportSink(new DigestSetBuilder());
        await importDeb(changed, sink, MERGED).catch((error: unknown) =>
          expect(error).toBeInstanceOf(AssayError),
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('an .rpm, made by rpmbuild', () => {
  test.each(['tool-gzip.rpm', 'tool-xz.rpm', 'tool-zstd.rpm'])(
    '%s: every regular file of its header',
    async (name) => {
      const { files, skipped } = await importing((sink) => importRpm(packageFile(name), sink));
      expect(files).toEqual([
        `/etc/tool.conf sha256 ${short('conf\n')} assay-tool 2:1.2-3 noarch`,
        `/usr/bin/tool sha256 ${short(TOOL)} assay-tool 2:1.2-3 noarch`,
      ]);
      // A %ghost has no content in the package; rpm gives it a digest of zeros or none.
      expect(skipped.flatMap(({ examples }) => examples)).toEqual(['/var/log/tool.log']);
    },
  );

  test('with MD5 alone gives nothing, and says why', async () => {
    const { taken, skipped } = await importing((sink) => importRpm(packageFile('tool-md5.rpm'), sink));
    expect(taken).toBe(0);
    expect(skipped[0]).toMatchObject({ count: 2, examples: ['/etc/tool.conf', '/usr/bin/tool'] });
    expect(skipped[0]?.reason).toContain('only weak or unknown hashes are given (md5)');
  });

  test('with another payload is refused', async () => {
    const bytes = Uint8Array.from(packageFile('tool-gzip.rpm'));
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    const sink = new ImportSink(new DigestSetBuilder());
    await expect(importRpm(bytes, sink)).rejects.toThrow(/payload of this RPM package is not the one/);
  });

  test('every prefix is refused, and a changed byte ends in an error or in a result', async () => {
    const bytes = packageFile('tool-gzip.rpm');
    const run = (input: Uint8Array) => importRpm(input, new ImportSink(new DigestSetBuilder()));
    for (let length = 0; length < bytes.length; length += 7) {
      await expect(run(bytes.subarray(0, length))).rejects.toBeInstanceOf(AssayError);
    }
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        await run(changed).catch((error: unknown) => expect(error).toBeInstanceOf(AssayError));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a Debian repository', () => {
  const deb = packageFile('tool-xz.deb');
  const stanza = (sha256: string) =>
    `Package: assay-tool\nVersion: 1.2-3\nFilename: pool/t/tool.deb\nDescription: x\n more\nSHA256: ${sha256}\n`;

  test('its index is read plain or compressed', async () => {
    const text = `${stanza(hash('sha256', deb))}\n${stanza('0'.repeat(64))}`;
    const plain = await parseDebianIndex(Buffer.from(text));
    expect(plain).toHaveLength(2);
    expect(plain[0]).toEqual({
      ...{ name: 'assay-tool', version: '1.2-3', filename: 'pool/t/tool.deb', sha256: hash('sha256', deb) },
    });
    expect(await parseDebianIndex(gzipSync(text))).toEqual(plain);
  });

  test('a package that is not the one of the index is left out, and one that is missing', async () => {
    const [good, bad] = await parseDebianIndex(
      Buffer.from(`${stanza(hash('sha256', deb))}\n${stanza('0'.repeat(64))}`),
    );
    if (!good || !bad) throw new Error('two entries');
    const { taken, skipped } = await importing(async (sink) => {
      await importIndexed(good, deb, sink, MERGED);
      await importIndexed(bad, deb, sink, MERGED);
      await importIndexed(good, undefined, sink, MERGED);
    });
    expect(taken).toBe(5);
    expect(skipped.map(({ reason }) => reason)).toEqual([
      "a package whose SHA-256 is not the index's",
      'a package of the index that is not in the pool',
    ]);
  });

  test('an entry without a SHA256 is an error', async () => {
    const text = stanza('x').replace(/SHA256.*\n/, 'MD5sum: 0\n');
    await expect(parseDebianIndex(Buffer.from(text))).rejects.toThrow(
      'the index has no SHA256 for assay-tool 1.2-3',
    );
  });
});
