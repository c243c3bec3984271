import { createHash } from 'node:crypto';
import { ParseError } from '../errors.ts';
import { type PeImage, parsePeImage, type Range } from './image.ts';

/**
 * The parts of a PE image that its Authenticode digest covers, in order (Windows Authenticode Portable Executable
 * Signature Format, "Calculating the PE Image Hash"): all but its checksum, the place that says where its signatures are,
 * and the signatures. Firmware measures this digest when it runs an image (PC Client Platform Firmware Profile, 3.3.4.5),
 * so it is computed as EDK II does, for images that nobody signed too.
 *
 * @throws {ParseError} when the image is not what its headers say
 */
function authenticodeRanges(image: PeImage, length: number): readonly Range[] {
  const { checksum, certificateBytes, headerBytes } = image;
  // Where there is no such entry, nothing is left out between it and the checksum.
  const { certificateEntry = checksum } = image;
  if (certificateEntry.end > headerBytes || headerBytes > length) {
    throw broken(certificateEntry.end, `${headerBytes} bytes of headers do not fit`);
  }
  const sections = image.sections.toSorted((a, b) => a.start - b.start);
  const beyond = sections.find(({ end }) => end > length);
  if (beyond) throw broken(beyond.start, `a section ends at ${beyond.end}, the image at ${length}`);
  const hashed = headerBytes + sections.reduce((sum, { start, end }) => sum + end - start, 0);
  // Such an image is no compiler's, and would be hashed many times over.
  if (hashed > length) throw broken(headerBytes, 'its sections overlap');
  if (hashed + certificateBytes > length) {
    throw broken(hashed, `${certificateBytes} bytes of signatures do not fit behind its sections`);
  }
  const ranges = [
    { start: 0, end: checksum.start },
    { start: checksum.end, end: certificateEntry.start },
    { start: certificateEntry.end, end: headerBytes },
    ...sections,
    // What is behind the sections and is no signature is hashed as well.
    { start: hashed, end: length - certificateBytes },
  ];
  return ranges.filter(({ start, end }) => end > start);
}

/** The Authenticode digest of a PE image, of each kind that a TPM's bank may have. @throws {ParseError} for what is none */
export function authenticodeDigest(
  bytes: Uint8Array,
  algorithm: 'sha256' | 'sha384' | 'sha512',
  image: PeImage = parsePeImage(bytes),
): Uint8Array {
  const digest = createHash(algorithm);
  for (const { start, end } of authenticodeRanges(image, bytes.length))
    digest.update(bytes.subarray(start, end));
  return new Uint8Array(digest.digest());
}

function broken(offset: number, problem: string): ParseError {
  return new ParseError('PE.image', offset, problem);
}
