import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { ParseError } from '../../../../core/errors.ts';
import { authenticodeDigest } from '../../../../core/pe/authenticode.ts';
import { isEfiImage, parsePeImage } from '../../../../core/pe/image.ts';
import { PE_PLACES, type PeShape, peImage } from '../../../fakes/pe-image.ts';

const vector = (name: string) =>
  new Uint8Array(readFileSync(new URL(`../../../vectors/pe/${name}`, import.meta.url)));
const digest = (bytes: Uint8Array) => toHex(authenticodeDigest(bytes, 'sha256'));
const fill = (text: string, length: number) => new Uint8Array(Buffer.alloc(length, text));

// What osslsigncode 2.9 says of the vectors, which it and sbsign 0.9.4 signed.
const SIGNED = '66cf08fe56a718c79b2d1b5d8261e5d4042d5da5927bddbcc6a37c161ee204b3';
const SIGNED_384 =
  'bffdd2efd681123f9e0b1ebbba69f173c9dd46039138ed5e01bba21a0023bced26215716f7f0e619440e5629608c1d9b';
const TINY: PeShape = { sections: [fill('code ', 0x400), fill('data ', 0x203)] };

describe('the Authenticode digest', () => {
  test.each(['signed-osslsigncode.efi', 'signed-sbsign.efi'])('of %s is what its signer signed', (name) => {
    expect(digest(vector(name))).toBe(SIGNED);
  });

  test('of a PE32 image, as SHA-384', () => {
    expect(toHex(authenticodeDigest(vector('pe32-sha384.efi'), 'sha384'))).toBe(SIGNED_384);
  });

  test('of an image that is not signed yet: signers fill it up to a multiple of eight', () => {
    const image = peImage(TINY);
    const filled = new Uint8Array(Buffer.concat([image, new Uint8Array(5)]));
    expect(digest(filled)).toBe(SIGNED);
    expect(digest(image)).not.toBe(SIGNED);
  });

  test('leaves out the checksum, the place of the signatures, and the signatures', () => {
    const plain = digest(peImage());
    expect(digest(peImage({ checksum: 0x1234 }))).toBe(plain);
    expect(digest(peImage({ certificates: fill('x', 16) }))).toBe(plain);
    expect(digest(peImage({ certificates: fill('y', 24), checksum: 7 }))).toBe(plain);
  });

  test('covers what is behind the sections', () => {
    expect(digest(peImage({ overlay: fill('x', 8) }))).not.toBe(digest(peImage()));
    expect(digest(peImage({ overlay: fill('x', 8), certificates: fill('y', 16) }))).toBe(
      digest(peImage({ overlay: fill('x', 8) })),
    );
  });

  test('takes sections as they lie in the file, whatever the table says', () => {
    const sections = [fill('a', 512), fill('b', 512)];
    const bytes = peImage({ sections, order: [1, 0] });
    const places = PE_PLACES;
    const covered = [
      bytes.subarray(0, places.checksum),
      bytes.subarray(places.checksum + 4, places.certificateEntry),
      bytes.subarray(places.certificateEntry + 8),
    ];
    expect(digest(bytes)).toBe(hash('sha256', Buffer.concat(covered)));
  });

  test('of an image without a certificate table covers all but the checksum', () => {
    const bytes = peImage({ directories: 4 });
    const { checksum } = PE_PLACES;
    const covered = [bytes.subarray(0, checksum), bytes.subarray(checksum + 4)];
    expect(digest(bytes)).toBe(hash('sha256', Buffer.concat(covered)));
  });

  test('changes with every byte that it covers, and with no other', () => {
    const bytes = peImage({ overlay: fill('x', 16), certificates: fill('y', 64) });
    const { checksum, certificateEntry } = PE_PLACES;
    const plain = digest(bytes);
    const isCovered = (at: number) =>
      !(at >= checksum && at < checksum + 4) &&
      !(at >= certificateEntry && at < certificateEntry + 8) &&
      at < bytes.length - 64;
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        try {
          // Of the place of the signatures only its length says what is covered.
          if (at >= certificateEntry + 4 && at < certificateEntry + 8) digest(changed);
          else expect(digest(changed) === plain).toBe(!isCovered(at));
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('an image is refused', () => {
  const changed = (change: (bytes: Buffer) => void, shape?: PeShape) => {
    const bytes = peImage(shape);
    change(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    return bytes;
  };
  const SECTION_TABLE = 0x80 + 24 + 240;
  const { certificateEntry } = PE_PLACES;

  test.each([
    ['that does not begin as one', changed((b) => b.write('ZM')), /dos\.magic/],
    ['without a PE header', changed((b) => b.writeUInt32LE(0x81, 0x3c)), /PE\.header\.magic/],
    ['whose header is outside', changed((b) => b.writeUInt32LE(0xffff_ffff, 0x3c)), /PE\.header\.magic/],
    ['of another form', changed((b) => b.writeUInt16LE(0x107, 0x98)), /neither PE32 nor PE32\+/],
    ['with too many directories', changed((b) => b.writeUInt32LE(17, 0x98 + 108)), /do not fit into/],
    [
      'whose section table the digest would not cover',
      changed((b) => b.writeUInt32LE(0x180, 0x98 + 60)),
      /sectionTable\.end/,
    ],
    [
      'whose headers are longer than it',
      changed((b) => b.writeUInt32LE(0x8000, 0x98 + 60)),
      /bytes of headers/,
    ],
    [
      'with a section outside',
      changed((b) => b.writeUInt32LE(0x1000, SECTION_TABLE + 20)),
      /a section ends at 4608, the image at 1536/,
    ],
    [
      'with more signatures than there is room',
      changed((b) => b.writeUInt32LE(1, certificateEntry + 4)),
      /1 bytes of signatures do not fit/,
    ],
  ])('%s', (_what, bytes, problem) => {
    expect(() => digest(bytes)).toThrow(problem);
  });

  test('whose sections are together longer than it', () => {
    const bytes = changed(
      (b) => {
        for (const at of [0, 40]) b.writeUInt32LE(0x400, SECTION_TABLE + at + 20);
        for (const at of [0, 40]) b.writeUInt32LE(0x400, SECTION_TABLE + at + 16);
      },
      { sections: [fill('a', 512), fill('b', 512)] },
    );
    expect(() => digest(bytes)).toThrow('its sections overlap');
  });

  test('wherever it is cut off, or it has another digest', () => {
    const bytes = vector('signed-sbsign.efi');
    for (let length = 0; length < bytes.length; length += 1) {
      try {
        expect(digest(bytes.subarray(0, length))).not.toBe(SIGNED);
      } catch (error) {
        expect(error).toBeInstanceOf(ParseError);
      }
    }
  });
});

test.each([
  [3, false],
  [9, false],
  [10, true],
  [11, true],
  [12, true],
  [13, true],
  [14, false],
])('subsystem %i is of EFI: %s', (subsystem, isEfi) => {
  expect(isEfiImage(parsePeImage(peImage({ subsystem })))).toBe(isEfi);
});
