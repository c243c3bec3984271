import { hash } from 'node:crypto';
import {
  DIGESTS,
  type DigestName,
  type DigestSource,
  FILE_DIGESTS,
  type FileDigestName,
  isFileDigestName,
  type PackageRef,
} from './digest-entry.ts';
import { fail, numbers, parseHeader, parseMetadata } from './header.ts';
import { type Counts, type Form, type Layout, layoutOf, MAX_PATH_BYTES, NO_PACKAGE } from './layout.ts';

/** What a set knows of a path: for explanations. */
export interface KnownFile {
  readonly algorithm: DigestName;
  readonly digest: Uint8Array;
  readonly package?: PackageRef;
}

interface Group {
  readonly algorithm: DigestName;
  readonly size: number;
  readonly count: number;
  readonly digests: Uint8Array;
  /** Of the first 16 bits of a digest: the first entry that begins with them. Digests spread evenly over these. */
  readonly buckets: Uint32Array;
  readonly paths: Uint32Array;
  readonly packages: Uint32Array;
}

/**
 * Which bytes may be at which path, and which images may run. One for each content, shared by all policies and nodes; its memory is its bytes.
 */
export class DigestSet {
  /** `sha256:` and the hex SHA-256 of its bytes. */
  readonly id: string;
  readonly size: number;
  /** Digests of EFI images among them. */
  readonly imageDigests: number;
  readonly packages: readonly PackageRef[];
  readonly sources: readonly DigestSource[];
  readonly bytes: Uint8Array;
  readonly #groups: ReadonlyMap<DigestName, Group>;
  readonly #pathStarts: Uint32Array;
  readonly #pathBytes: Uint8Array;
  #byPath: ReadonlyMap<DigestName, Uint32Array> | undefined;

  private constructor(bytes: Uint8Array, form: Form, counts: Counts, layout: Layout) {
    this.bytes = bytes;
    this.id = `sha256:${hash('sha256', bytes)}`;
    const { packages, sources } = parseMetadata(
      bytes.subarray(layout.metadata, layout.metadata + counts.metadataBytes),
      layout.metadata,
    );
    this.packages = packages.map(([name, version, arch]) => ({ name, version, arch }));
    this.sources = sources;
    this.#pathStarts = numbers(bytes, layout.pathStarts, counts.paths + 1);
    this.#pathBytes = bytes.subarray(layout.pathBytes, layout.pathBytes + counts.pathBytes);
    this.#groups = new Map(
      form.algorithms.map((algorithm, index) => [
        algorithm,
        groupOf(bytes, algorithm, counts, layout, index),
      ]),
    );
    const counted = [...this.#groups.values()];
    this.size = counted.reduce((sum, { count }) => sum + count, 0);
    this.imageDigests = counted
      .filter(({ algorithm }) => !isFileDigestName(algorithm))
      .reduce((sum, { count }) => sum + count, 0);
    this.#check(counts);
  }

  /**
   * Takes over `bytes`, which must not change any more.
   *
   * @throws {ParseError} unless they are a whole digest set in its one order
   */
  static parse(input: Uint8Array): DigestSet {
    // Numbers are read in place, which needs them at a multiple of four.
    const bytes = input.byteOffset % 4 === 0 ? input : Uint8Array.from(input);
    const { form, counts } = parseHeader(bytes);
    const layout = layoutOf(form, counts);
    if (layout.end !== bytes.length) {
      fail(
        'end',
        Math.min(layout.end, bytes.length),
        `has ${bytes.length} bytes, its header says ${layout.end}`,
      );
    }
    return new DigestSet(bytes, form, counts, layout);
  }

  /** Rule `ima.digest`: whether exactly these bytes may be at exactly this path. */
  allows(path: Uint8Array, algorithm: FileDigestName, digest: Uint8Array): boolean {
    if (digest.length !== FILE_DIGESTS[algorithm]) return false;
    return this.allowsAt(algorithm, digest, 0, path, 0, path.length);
  }

  /** The same for a digest and a path that lie in other bytes, which may be the same: makes nothing new. */
  allowsAt(
    algorithm: FileDigestName,
    digests: Uint8Array,
    digestAt: number,
    paths: Uint8Array,
    pathAt: number,
    pathEnd: number,
  ): boolean {
    const group = this.#groups.get(algorithm);
    if (!group) return false;
    let low = boundOf(group, digests, digestAt, false);
    // The same bytes may be at many paths, an empty file at thousands: those are ascending by path.
    let high = boundOf(group, digests, digestAt, true);
    while (low < high) {
      const middle = (low + high) >>> 1;
      const path = group.paths[middle] ?? 0;
      const start = this.#pathStarts[path] ?? 0;
      const order = compareRanges(
        this.#pathBytes,
        start,
        this.#pathStarts[path + 1] ?? start,
        paths,
        pathAt,
        pathEnd,
      );
      if (order === 0) return true;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return false;
  }

  /** Whether these bytes, or this image, may be at some path, whatever it is. */
  knows(algorithm: DigestName, digests: Uint8Array, digestAt = 0): boolean {
    const group = this.#groups.get(algorithm);
    return (
      group !== undefined &&
      boundOf(group, digests, digestAt, false) < boundOf(group, digests, digestAt, true)
    );
  }

  /** Everything that is known of a path. Slower than `allows`: for those who explain a refusal. */
  filesAt(path: Uint8Array): readonly KnownFile[] {
    const target = this.#indexOf(path);
    if (target === undefined) return [];
    this.#byPath ??= new Map([...this.#groups].map(([name, group]) => [name, entriesByPath(group)]));
    return [...this.#groups.values()].flatMap((group) => {
      const order = this.#byPath?.get(group.algorithm) ?? new Uint32Array();
      const found: KnownFile[] = [];
      for (
        let at = lowerBound(order, group.paths, target);
        group.paths[order[at] ?? -1] === target;
        at += 1
      ) {
        found.push(this.#fileOf(group, order[at] ?? 0));
      }
      return found;
    });
  }

  /** Every entry, in the set's order. */
  *entries(): Generator<KnownFile & { readonly path: Uint8Array }> {
    for (const group of this.#groups.values()) {
      for (let index = 0; index < group.count; index += 1) {
        yield { path: this.#pathAt(group.paths[index] ?? 0), ...this.#fileOf(group, index) };
      }
    }
  }

  #fileOf(group: Group, index: number): KnownFile {
    const digest = group.digests.subarray(index * group.size, (index + 1) * group.size);
    const from = this.packages[group.packages[index] ?? NO_PACKAGE];
    return { algorithm: group.algorithm, digest, ...(from === undefined ? {} : { package: from }) };
  }

  #pathAt(index: number): Uint8Array {
    return this.#pathBytes.subarray(this.#pathStarts[index], this.#pathStarts[index + 1]);
  }

  #comparePath(index: number, path: Uint8Array): number {
    const start = this.#pathStarts[index] ?? 0;
    return compareRanges(this.#pathBytes, start, this.#pathStarts[index + 1] ?? start, path, 0, path.length);
  }

  #indexOf(path: Uint8Array): number | undefined {
    let low = 0;
    let high = this.#pathStarts.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#comparePath(middle, path);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return undefined;
  }

  // A set that is not in order would not find what it holds, and could have two ids.
  #check({ paths, pathBytes }: Counts): void {
    const starts = this.#pathStarts;
    if (starts[0] !== 0 || starts[paths] !== pathBytes) fail('paths', 0, 'do not fill their room');
    for (let index = 0; index < paths; index += 1) {
      const length = (starts[index + 1] ?? 0) - (starts[index] ?? 0);
      if (length < 1 || length > MAX_PATH_BYTES) fail('paths', index, `has ${length} bytes`);
      const isAbsolute = this.#pathBytes[starts[index] ?? 0] === 0x2f;
      if (!isAbsolute) fail('paths', index, 'is not absolute');
      if (index > 0 && this.#comparePath(index - 1, this.#pathAt(index)) >= 0)
        fail('paths', index, 'is out of order');
    }
    for (const group of this.#groups.values()) checkGroup(group, paths, this.packages.length);
  }
}

function groupOf(
  bytes: Uint8Array,
  algorithm: DigestName,
  counts: Counts,
  layout: Layout,
  index: number,
): Group {
  const size = DIGESTS[algorithm];
  const count = counts.entries[index] ?? 0;
  const { digests = 0, paths = 0, packages = 0 } = layout.groups[index] ?? {};
  const own = bytes.subarray(digests, digests + count * size);
  return {
    ...{ algorithm, size, count, digests: own, buckets: bucketsOf(own, size, count) },
    paths: numbers(bytes, paths, count),
    packages: numbers(bytes, packages, count),
  };
}

function checkGroup(
  { size, count, digests, paths, packages, algorithm }: Group,
  pathCount: number,
  packageCount: number,
): void {
  for (let index = 0; index < count; index += 1) {
    const from = packages[index] ?? NO_PACKAGE;
    if ((paths[index] ?? pathCount) >= pathCount || (from >= packageCount && from !== NO_PACKAGE)) {
      fail(algorithm, index, 'refers to a path or a package that there is not');
    }
    if (index === 0) continue;
    const at = index * size;
    const order = Buffer.compare(digests.subarray(at - size, at), digests.subarray(at, at + size));
    if (order > 0 || (order === 0 && (paths[index - 1] ?? 0) >= (paths[index] ?? 0))) {
      fail(algorithm, index, 'is out of order');
    }
  }
}

/** Index of the first entry that is not below the digest at `at`, or, with `after`, of the first that is above. */
function boundOf({ buckets, digests, size }: Group, other: Uint8Array, at: number, after: boolean): number {
  const bucket = ((other[at] ?? 0) << 8) | (other[at + 1] ?? 0);
  let low = buckets[bucket] ?? 0;
  let high = buckets[bucket + 1] ?? 0;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const order = compareRanges(digests, middle * size, (middle + 1) * size, other, at, at + size);
    if (order < 0 || (after && order === 0)) low = middle + 1;
    else high = middle;
  }
  return low;
}

const NO_BUCKETS = new Uint32Array(0x1_0001);

function bucketsOf(digests: Uint8Array, size: number, count: number): Uint32Array {
  if (count === 0) return NO_BUCKETS;
  const buckets = new Uint32Array(0x1_0001);
  for (let index = 0; index < count; index += 1) {
    const bucket = ((digests[index * size] ?? 0) << 8) | (digests[index * size + 1] ?? 0);
    buckets[bucket + 1] = (buckets[bucket + 1] ?? 0) + 1;
  }
  for (let bucket = 0; bucket < 0x1_0000; bucket += 1) {
    buckets[bucket + 1] = (buckets[bucket + 1] ?? 0) + (buckets[bucket] ?? 0);
  }
  return buckets;
}

/** As Buffer.compare of two parts, without making them: it is asked a million times. */
function compareRanges(
  a: Uint8Array,
  aStart: number,
  aEnd: number,
  b: Uint8Array,
  bStart: number,
  bEnd: number,
): number {
  const length = Math.min(aEnd - aStart, bEnd - bStart);
  for (let index = 0; index < length; index += 1) {
    const difference = (a[aStart + index] ?? 0) - (b[bStart + index] ?? 0);
    if (difference !== 0) return difference;
  }
  return aEnd - aStart - (bEnd - bStart);
}

/** Entry numbers, ascending by their path. */
function entriesByPath({ paths }: Group): Uint32Array {
  const keys = new Float64Array(paths.length);
  for (let index = 0; index < paths.length; index += 1) keys[index] = (paths[index] ?? 0) * 2 ** 24 + index;
  keys.sort();
  return Uint32Array.from(keys, (key) => key % 2 ** 24);
}

function lowerBound(order: Uint32Array, paths: Uint32Array, target: number): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((paths[order[middle] ?? 0] ?? 0) < target) low = middle + 1;
    else high = middle;
  }
  return low;
}
