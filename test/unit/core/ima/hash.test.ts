import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Sha1 } from '../../../../core/ima/sha1.ts';
import { Sha256 } from '../../../../core/ima/sha256.ts';

const hashes = [
  { name: 'sha1', hash: new Sha1() },
  { name: 'sha256', hash: new Sha256() },
] as const;

function toBytes(words: Int32Array): Buffer {
  const out = Buffer.alloc(4 * words.length);
  for (const [i, word] of words.entries()) out.writeInt32BE(word, 4 * i);
  return out;
}

test.each(hashes)('$name is that of OpenSSL for every length up to four blocks', ({ name, hash }) => {
  const bytes = Uint8Array.from({ length: 280 }, (_, i) => (i * 151) & 0xff);
  for (let length = 0; length <= 260; length++) {
    hash.digest(bytes, 7, 7 + length);
    expect(toBytes(hash.words)).toEqual(
      createHash(name)
        .update(bytes.subarray(7, 7 + length))
        .digest(),
    );
  }
});

test.each(hashes)('$name: any part of any buffer, also one after the other', ({ name, hash }) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.nat(500), fc.nat(500), (bytes, a, b) => {
      const start = Math.min(a, b, bytes.length);
      const end = Math.min(Math.max(a, b), bytes.length);
      hash.digest(bytes, start, end);
      const expected = createHash(name).update(bytes.subarray(start, end)).digest();
      expect(toBytes(hash.words)).toEqual(expected);
    }),
  );
});

test.each(hashes)('$name of a pair of digests, also in place', ({ name, hash }) => {
  const size = hash.words.length;
  fc.assert(
    fc.property(fc.int32Array({ minLength: 2 * size, maxLength: 2 * size }), (words) => {
      const expected = createHash(name).update(toBytes(words)).digest();
      const left = words.slice(0, size);
      hash.pair(left, words.slice(size), left);
      expect(toBytes(left)).toEqual(expected);
    }),
  );
});
