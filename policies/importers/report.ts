import { AssayError } from '../../core/errors.ts';
import type { DigestSetBuilder } from '../digests/build.ts';
import {
  type DigestEntry,
  FILE_DIGESTS,
  isFileDigestName,
  type PackageRef,
} from '../digests/digest-entry.ts';

/** What an import took and what it left, with the reasons. */
export interface ImportReport {
  readonly taken: number;
  /** EFI images among the files, whose Authenticode digests were taken too. */
  readonly images: number;
  readonly skipped: readonly Skipped[];
}

export interface Skipped {
  readonly reason: string;
  readonly count: number;
  /** The first few. */
  readonly examples: readonly string[];
}

const EXAMPLES = 5;
const PROGRESS_EVERY = 1000;

/** A digest of a file or of an image. */
export type MeasuredDigest = Pick<DigestEntry, 'algorithm' | 'digest'>;

/** A digest as an SBOM states it. */
export interface StatedDigest {
  /** In any of the spellings that SBOM formats have, such as `SHA-256`, `SHA256` or `sha256`. */
  readonly algorithm: string;
  readonly hex: string;
}

/** Where importers put what they find. Counts what was taken and what was not. */
export class ImportSink {
  readonly #builder: DigestSetBuilder;
  readonly #skipped = new Map<string, { count: number; examples: string[] }>();
  readonly #onProgress: (taken: number) => void;
  #taken = 0;
  #images = 0;

  constructor(builder: DigestSetBuilder, onProgress: (taken: number) => void = () => {}) {
    this.#builder = builder;
    this.#onProgress = onProgress;
  }

  add(entry: DigestEntry): void {
    this.#add(entry);
    this.#taken += 1;
    if (this.#taken % PROGRESS_EVERY === 0) this.#onProgress(this.#taken);
  }

  addFile(path: string, digest: MeasuredDigest, from?: PackageRef): void {
    this.add(entryOf(path, digest, from));
  }

  /** What an EFI image is measured as, in each bank, besides its digests as a file. */
  addImage(path: string, digests: readonly MeasuredDigest[], from?: PackageRef): void {
    for (const digest of digests) this.#add(entryOf(path, digest, from));
    this.#images += 1;
  }

  #add(entry: DigestEntry): void {
    this.#builder.add({ ...entry, path: kernelPath(entry.path) });
  }

  /** A file with the digests that a document states for it: each that is strong enough becomes an entry. */
  addStated(path: string, digests: readonly StatedDigest[], from?: PackageRef): void {
    if (digests.length === 0) {
      this.skip('no hash is given', path);
      return;
    }
    const strong = digests.flatMap(({ algorithm, hex }) => {
      const name = algorithm.toLowerCase().replaceAll(/[-_]/g, '');
      return isFileDigestName(name) ? [{ name, hex }] : [];
    });
    if (strong.length === 0) {
      const names = [...new Set(digests.map(({ algorithm }) => algorithm))].sort().join(', ');
      this.skip(
        `only weak or unknown hashes are given (${names}); SHA-256, SHA-384 or SHA-512 is needed`,
        path,
      );
      return;
    }
    for (const { name, hex } of strong) {
      if (!new RegExp(`^[0-9a-f]{${2 * FILE_DIGESTS[name]}}$`, 'i').test(hex)) {
        this.skip(`the ${name} hash is not ${2 * FILE_DIGESTS[name]} hexadecimal digits`, path);
        continue;
      }
      this.addFile(path, { algorithm: name, digest: new Uint8Array(Buffer.from(hex, 'hex')) }, from);
    }
  }

  skip(reason: string, example: string): void {
    const known = this.#skipped.get(reason) ?? { count: 0, examples: [] };
    known.count += 1;
    if (known.examples.length < EXAMPLES) known.examples.push(example);
    this.#skipped.set(reason, known);
  }

  report(): ImportReport {
    const skipped = [...this.#skipped].map(([reason, { count, examples }]) => ({ reason, count, examples }));
    return { taken: this.#taken, images: this.#images, skipped: skipped.sort((a, b) => b.count - a.count) };
  }

  /** @throws {AssayError} `invalid-request` when nothing was taken: an empty set would allow nothing, or is a mistake */
  checkTaken(what: string): ImportReport {
    const report = this.report();
    if (report.taken > 0) return report;
    const [first] = report.skipped;
    const why = first
      ? `${first.count} ${first.count === 1 ? 'file' : 'files'}: ${first.reason}, such as ${first.examples[0]}`
      : 'it names no files';
    const details = report.skipped.map(({ reason, count }) => ({ message: `${count}: ${reason}` }));
    throw new AssayError('invalid-request', `${what} holds no file hash that can be used: ${why}`, {
      details,
    });
  }
}

function entryOf(path: string, digest: MeasuredDigest, from: PackageRef | undefined): DigestEntry {
  const entry = { path: new Uint8Array(Buffer.from(path)), ...digest };
  return from === undefined ? entry : { ...entry, package: from };
}

// The kernel writes a space in a name as an underscore (ima_template_lib.c), so a list never has one.
function kernelPath(path: Uint8Array): Uint8Array {
  return path.map((octet) => (octet === 0x20 ? 0x5f : octet));
}

/** An absolute path from one as SBOMs write them: `/usr/bin/x`, `./usr/bin/x`, `usr/bin/x` below `root`. */
export function absolutePath(name: string, root: string): string {
  if (name.startsWith('/')) return name;
  const base = root.endsWith('/') ? root : `${root}/`;
  return base + name.replace(/^(?:\.\/)+/, '');
}
