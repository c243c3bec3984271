import { readFileSync } from 'node:fs';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import { DigestSet } from '../../../../policies/digests/digest-set.ts';
import { type ImportReport, ImportSink } from '../../../../policies/importers/report.ts';

export interface Imported extends ImportReport {
  /** `path algorithm hex package version arch`, in order. */
  readonly files: readonly string[];
}

/** Runs an importer and reads back what it left in the set. */
export async function importing(work: (sink: ImportSink) => unknown): Promise<Imported> {
  const builder = new DigestSetBuilder();
  const sink = new ImportSink(builder);
  await work(sink);
  const set = DigestSet.parse(builder.build());
  const files = [...set.entries()].map(({ path, algorithm, digest, package: from }) =>
    [
      Buffer.from(path).toString('utf8'),
      algorithm,
      Buffer.from(digest).toString('hex').slice(0, 8),
      ...(from ? [from.name, from.version, from.arch] : []),
    ]
      .join(' ')
      .trim(),
  );
  return { ...sink.report(), files: files.sort() };
}

export function packageFile(name: string): Uint8Array {
  return readFileSync(new URL(`../../../vectors/packages/${name}`, import.meta.url));
}
