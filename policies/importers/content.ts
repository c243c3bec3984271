import { createHash } from 'node:crypto';
import { constants, gunzipSync } from 'node:zlib';
import { ParseError } from '../../core/errors.ts';
import { authenticodeDigest } from '../../core/pe/authenticode.ts';
import { isEfiImage, parsePeImage } from '../../core/pe/image.ts';
import { FILE_DIGESTS, imageDigestName, isFileDigestName, type PackageRef } from '../digests/digest-entry.ts';
import type { Bytes } from './byte-source.ts';
import type { ImportSink, MeasuredDigest } from './report.ts';

/** What can be measured of a file: its bytes by IMA, and, when it is an EFI image, that image by firmware. */
export interface FileContent {
  readonly sha256: Uint8Array;
  readonly images: readonly MeasuredDigest[];
  /** Why there are no digests of an image, though it looks like one. */
  readonly problem?: string;
}

const HEAD_BYTES = 512;
/** Images are kept as a whole to be hashed: a unified kernel image with its initrd has 100 MiB and more. */
const MAX_IMAGE_BYTES = 512 * 1024 * 1024;
/** Signatures begin at a multiple of this (Microsoft PE Format, "The Attribute Certificate Table"). */
const ALIGNMENT = 8;

/** Hashes a file as it streams by. */
export async function readContent(content: Bytes): Promise<FileContent> {
  const digest = createHash('sha256');
  const image = new ImageCollector();
  for await (const chunk of content) {
    digest.update(chunk);
    image.add(chunk);
  }
  return { sha256: new Uint8Array(digest.digest()), ...image.finish() };
}

/** Puts a file into a set, under each of its digests. */
export function addContent(sink: ImportSink, path: string, content: FileContent, from?: PackageRef): void {
  sink.addFile(path, { algorithm: 'sha256', digest: content.sha256 }, from);
  addImages(sink, path, content, from);
}

/** The digests as an image alone, for formats that state the digest of the file. */
export function addImages(
  sink: ImportSink,
  path: string,
  { images, problem }: FileContent,
  from?: PackageRef,
): void {
  if (images.length > 0) sink.addImage(path, images, from);
  if (problem !== undefined) sink.skip(`an EFI image without an Authenticode digest: ${problem}`, path);
}

/** Keeps the bytes of what may be an image: a PE file, plain or as gzip, as kernels are on some machines. */
class ImageCollector {
  #chunks: Uint8Array[] = [];
  #size = 0;
  #isCandidate: boolean | undefined;

  add(chunk: Uint8Array): void {
    this.#size += chunk.length;
    if (this.#isCandidate === false || this.#size > MAX_IMAGE_BYTES) {
      this.#chunks = [];
      return;
    }
    this.#chunks.push(chunk);
    if (this.#isCandidate === undefined && this.#size >= HEAD_BYTES) {
      this.#isCandidate = beginsAsImage(Buffer.concat(this.#chunks));
    }
  }

  finish(): Omit<FileContent, 'sha256'> {
    if (this.#isCandidate === false) return { images: [] };
    if (this.#size > MAX_IMAGE_BYTES) return { images: [], problem: 'it is too long' };
    const bytes = Buffer.concat(this.#chunks);
    return beginsAsImage(bytes) ? imageDigests(bytes) : { images: [] };
  }
}

function beginsAsImage(bytes: Uint8Array): boolean {
  if (!isGzip(bytes)) return isDos(bytes);
  try {
    const head = bytes.subarray(0, HEAD_BYTES);
    return isDos(gunzipSync(head, { finishFlush: constants.Z_SYNC_FLUSH }));
  } catch {
    return false;
  }
}

const isGzip = (bytes: Uint8Array) => bytes[0] === 0x1f && bytes[1] === 0x8b;
const isDos = (bytes: Uint8Array) => bytes[0] === 0x4d && bytes[1] === 0x5a;

function imageDigests(bytes: Uint8Array): Omit<FileContent, 'sha256'> {
  let image: ReturnType<typeof parsePeImage>;
  let unpacked = bytes;
  try {
    if (isGzip(bytes)) unpacked = gunzipSync(bytes, { maxOutputLength: MAX_IMAGE_BYTES });
    image = parsePeImage(unpacked);
  } catch {
    // Programs for DOS begin in the same way.
    return { images: [] };
  }
  if (!isEfiImage(image)) return { images: [] };
  try {
    const forms = [unpacked];
    // Whoever signs an image fills it up first, and the zeros then belong to what is measured.
    const missing = unpacked.length % ALIGNMENT;
    if (image.certificateBytes === 0 && missing > 0) {
      forms.push(Buffer.concat([unpacked, Buffer.alloc(ALIGNMENT - missing)]));
    }
    const names = Object.keys(FILE_DIGESTS).filter(isFileDigestName);
    const images = forms.flatMap((form) =>
      names.map((name) => ({
        algorithm: imageDigestName(name),
        digest: authenticodeDigest(form, name, image),
      })),
    );
    return { images };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return { images: [], problem: error.message };
  }
}
