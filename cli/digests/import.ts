import { hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AssayError } from '../../core/errors.ts';
import { parseImaAscii } from '../../core/ima/ascii.ts';
import { parseImaList } from '../../core/ima/binary.ts';
import { DigestSetBuilder } from '../../policies/digests/build.ts';
import { DigestSet } from '../../policies/digests/digest-set.ts';
import { addContent, readContent } from '../../policies/importers/content.ts';
import { importCycloneDx } from '../../policies/importers/cyclonedx.ts';
import { importDeb } from '../../policies/importers/deb.ts';
import { importIndexed, parseDebianIndex } from '../../policies/importers/debian-index.ts';
import { importImaList } from '../../policies/importers/ima-list.ts';
import { importKeylimePolicy } from '../../policies/importers/keylime.ts';
import { type ImportReport, ImportSink } from '../../policies/importers/report.ts';
import { importTar, measuredPath, type PathRules } from '../../policies/importers/rootfs.ts';
import { importRpm } from '../../policies/importers/rpm.ts';
import { importSpdx2 } from '../../policies/importers/spdx2.ts';
import { importSpdx3 } from '../../policies/importers/spdx3.ts';
import { importSyft } from '../../policies/importers/syft.ts';
import { detectFormat, type Format } from './formats.ts';

export interface ImportOptions {
  readonly sources: readonly string[];
  /** Of all sources; otherwise each is looked at. */
  readonly format?: Format;
  /** Where relative paths of SBOMs begin. */
  readonly root: string;
  readonly rules: PathRules;
  readonly onProgress: (text: string) => void;
}

export interface Imported {
  readonly set: DigestSet;
  readonly report: ImportReport;
}

const HEAD_BYTES = 512;
const INDEXES = /^Packages(\.(gz|xz|zst))?$/;

/** Reads sources of any kind into one digest set. @throws {AssayError} when nothing in them can be used */
export async function importSources(options: ImportOptions): Promise<Imported> {
  const builder = new DigestSetBuilder();
  const sink = new ImportSink(builder, (taken) => options.onProgress(`${taken} files`));
  for (const source of options.sources) {
    options.onProgress(source);
    const format = options.format ?? (await formatOf(source));
    await IMPORTERS[format](source, sink, options, builder);
  }
  const report = sink.checkTaken(options.sources.join(', '));
  return { set: DigestSet.parse(builder.build()), report };
}

async function formatOf(source: string): Promise<Format> {
  const found = await stat(source).catch((cause: Error) => {
    throw new AssayError('invalid-request', `cannot read ${source}: ${cause.message}`, { cause });
  });
  if (found.isDirectory()) {
    const names = await readdir(source);
    return names.includes('dists') && names.includes('pool') ? 'debian-repository' : 'directory';
  }
  const file = await open(source);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const rest =
      found.size > HEAD_BYTES ? await readFile(source, 'utf8') : buffer.toString('utf8', 0, bytesRead);
    return detectFormat(source, buffer.subarray(0, bytesRead), () => rest);
  } finally {
    await file.close();
  }
}

type Importer = (
  source: string,
  sink: ImportSink,
  options: ImportOptions,
  builder: DigestSetBuilder,
) => Promise<void>;

/** A source that is one file, whose hash says which it was. */
function wholeFile(
  kind: string,
  work: (bytes: Uint8Array, sink: ImportSink, options: ImportOptions) => unknown,
): Importer {
  return async (source, sink, options, builder) => {
    const bytes = new Uint8Array(await readFile(source));
    builder.addSource({ kind, sha256: hash('sha256', bytes) });
    await work(bytes, sink, options);
  };
}

const textOf = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');

const IMPORTERS: Readonly<Record<Format, Importer>> = {
  cyclonedx: wholeFile('cyclonedx', (bytes, sink, { root }) => importCycloneDx(textOf(bytes), sink, root)),
  spdx: wholeFile('spdx', (bytes, sink, { root }) => {
    const text = textOf(bytes);
    if (/"@graph"\s*:/.test(text)) importSpdx3(text, sink, root);
    else importSpdx2(text, sink, root);
  }),
  syft: wholeFile('syft', (bytes, sink) => importSyft(textOf(bytes), sink)),
  keylime: wholeFile('keylime', (bytes, sink) => void importKeylimePolicy(textOf(bytes), sink)),
  ima: wholeFile('learned', (bytes, sink) => {
    const isText = bytes[0] !== undefined && bytes[0] >= 0x30 && bytes[0] <= 0x39;
    importImaList(isText ? parseImaAscii(bytes) : parseImaList(bytes), sink);
  }),
  deb: wholeFile('deb', (bytes, sink, { rules }) => importDeb(bytes, sink, rules)),
  rpm: wholeFile('rpm', importRpm),
  async tar(source, sink, { rules }, builder) {
    builder.addSource({ kind: 'tar' });
    await importTar(createReadStream(source), sink, { ...rules });
  },
  async directory(source, sink, { rules }, builder) {
    builder.addSource({ kind: 'directory' });
    await importDirectory(source, '', sink, rules);
  },
  async 'debian-repository'(source, sink, { rules, onProgress }, builder) {
    builder.addSource({ kind: 'debian-repository' });
    for (const index of await indexesBelow(join(source, 'dists'))) {
      for (const one of await parseDebianIndex(new Uint8Array(await readFile(index)))) {
        onProgress(`${one.name} ${one.version}`);
        const bytes = await readFile(join(source, one.filename)).catch(() => undefined);
        await importIndexed(one, bytes && new Uint8Array(bytes), sink, rules);
      }
    }
  },
};

async function importDirectory(
  root: string,
  below: string,
  sink: ImportSink,
  rules: PathRules,
): Promise<void> {
  const entries = await readdir(join(root, below), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${below}/${entry.name}`;
    if (entry.isDirectory()) await importDirectory(root, path, sink, rules);
    else if (entry.isFile()) {
      addContent(sink, measuredPath(path, rules), await readContent(createReadStream(join(root, path))));
    }
  }
}

/** One index of each directory, however many compressions it is there in. */
async function indexesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const [index] = entries
    .filter((entry) => entry.isFile() && INDEXES.test(entry.name))
    .map(({ name }) => name)
    .sort();
  const deeper = await Promise.all(
    entries.filter((entry) => entry.isDirectory()).map((entry) => indexesBelow(join(directory, entry.name))),
  );
  return [...(index === undefined ? [] : [join(directory, index)]), ...deeper.flat()];
}
