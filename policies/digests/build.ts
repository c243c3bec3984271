import { AssayError } from '../../core/errors.ts';
import {
  DIGESTS,
  type DigestEntry,
  type DigestName,
  type DigestSource,
  type PackageRef,
} from './digest-entry.ts';
import {
  type Counts,
  FILES_FORM,
  type Form,
  IMAGES_FORM,
  layoutOf,
  MAGIC_BYTES,
  MAX_ENTRIES,
  MAX_PATH_BYTES,
  NO_PACKAGE,
} from './layout.ts';

interface Row {
  /** The digest, then the path, a character for each byte: strings compare as their bytes do, and much faster. */
  readonly key: string;
  readonly package: string;
}

/** Collects entries, in any order and with repetitions, and writes them as a digest set. */
export class DigestSetBuilder {
  readonly #rows = new Map<DigestName, Row[]>(IMAGES_FORM.algorithms.map((algorithm) => [algorithm, []]));
  readonly #packages = new Map<string, PackageRef>();
  readonly #sources = new Map<string, DigestSource>();
  #size = 0;

  /** Entries so far, repetitions included. */
  get size(): number {
    return this.#size;
  }

  addSource(source: DigestSource): void {
    this.#sources.set(JSON.stringify([source.kind, source.sha256 ?? '']), source);
  }

  /** @throws {AssayError} `invalid-request` for a path that is not absolute, and for a digest of another length */
  add({ path, algorithm, digest, package: from }: DigestEntry): void {
    if (path[0] !== 0x2f || path.length > MAX_PATH_BYTES || path.includes(0)) {
      const shown = JSON.stringify(Buffer.from(path.subarray(0, 100)).toString('utf8'));
      throw invalid(`an absolute path of at most ${MAX_PATH_BYTES} bytes is expected, not ${shown}`);
    }
    if (digest.length !== DIGESTS[algorithm]) {
      throw invalid(`a ${algorithm} digest has ${DIGESTS[algorithm]} bytes, not ${digest.length}`);
    }
    if (this.#size >= MAX_ENTRIES) throw invalid(`a set holds at most ${MAX_ENTRIES} entries; make several`);
    const key = from === undefined ? '' : packageKey(from);
    if (from !== undefined && !this.#packages.has(key)) this.#packages.set(key, from);
    this.#rows.get(algorithm)?.push({ key: latin1(digest) + latin1(path), package: key });
    this.#size += 1;
  }

  /** The set as bytes. The same entries and sources give the same bytes, whatever their order was. */
  build(): Uint8Array {
    const all = new Map([...this.#rows].map(([algorithm, rows]) => [algorithm, distinct(rows)]));
    const form = [...all.values()].slice(FILES_FORM.algorithms.length).every((rows) => rows.length === 0)
      ? FILES_FORM
      : IMAGES_FORM;
    const groups = form.algorithms.map((algorithm) => all.get(algorithm) ?? []);
    const paths = pathsOf(form, groups);
    const packages = [...this.#packages.keys()].sort(byCodeUnit);
    const metadata = Buffer.from(
      JSON.stringify({
        packages: packages.map((key) => JSON.parse(key)),
        sources: [...this.#sources.keys()].sort(byCodeUnit).map((key) => this.#sources.get(key)),
      }),
    );
    const counts = {
      metadataBytes: metadata.length,
      paths: paths.length,
      pathBytes: paths.reduce((sum, path) => sum + path.length, 0),
      entries: groups.map((rows) => rows.length),
    };
    return write({ form, counts, metadata, paths, groups, packages });
  }
}

interface Content {
  readonly form: Form;
  readonly counts: Counts;
  readonly metadata: Uint8Array;
  readonly paths: readonly string[];
  /** In the form's order. */
  readonly groups: readonly (readonly Row[])[];
  readonly packages: readonly string[];
}

function write({ form, counts, metadata, paths, groups, packages }: Content): Uint8Array {
  const layout = layoutOf(form, counts);
  const out = Buffer.alloc(layout.end);
  form.magic.copy(out);
  [counts.metadataBytes, counts.paths, counts.pathBytes, ...counts.entries].forEach((value, index) => {
    out.writeUInt32LE(value, MAGIC_BYTES + 4 * index);
  });
  out.set(metadata, layout.metadata);
  let at = 0;
  paths.forEach((path, index) => {
    out.writeUInt32LE(at, layout.pathStarts + 4 * index);
    at += out.write(path, layout.pathBytes + at, 'latin1');
  });
  out.writeUInt32LE(at, layout.pathStarts + 4 * paths.length);
  const pathIndex = new Map(paths.map((path, index) => [path, index]));
  const packageIndex = new Map(packages.map((key, index) => [key, index]));
  groups.forEach((rows, group) => {
    const place = layout.groups[group];
    const size = DIGESTS[form.algorithms[group] ?? 'sha256'];
    if (!place) return;
    rows.forEach((row, index) => {
      out.write(row.key.slice(0, size), place.digests + index * size, 'latin1');
      out.writeUInt32LE(pathIndex.get(row.key.slice(size)) ?? 0, place.paths + 4 * index);
      out.writeUInt32LE(packageIndex.get(row.package) ?? NO_PACKAGE, place.packages + 4 * index);
    });
  });
  return new Uint8Array(out.buffer, out.byteOffset, out.length);
}

/** Ascending by digest, then path; of one file in several packages the first package in order is kept. */
function distinct(rows: readonly Row[]): Row[] {
  const ascending = [...rows].sort((a, b) => byCodeUnit(a.key, b.key) || byCodeUnit(b.package, a.package));
  return ascending.filter((row, index) => row.key !== ascending[index + 1]?.key);
}

function pathsOf({ algorithms }: Form, groups: readonly (readonly Row[])[]): string[] {
  const paths = new Set<string>();
  groups.forEach((rows, group) => {
    const size = DIGESTS[algorithms[group] ?? 'sha256'];
    for (const { key } of rows) paths.add(key.slice(size));
  });
  return [...paths].sort(byCodeUnit);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

function packageKey({ name, version, arch }: PackageRef): string {
  return JSON.stringify([name, version, arch]);
}

function byCodeUnit(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function invalid(message: string): AssayError {
  return new AssayError('invalid-request', message);
}
