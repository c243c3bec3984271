import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { inBulk, makeNonce, NONCE_CHARACTERS } from '../../../../verifier/domain/nonce.ts';

test('quote.nonce: at least 256 bits of characters that agents accept', () => {
  const nonce = makeNonce((length) => randomBytes(length));
  expect(nonce).toMatch(/^[0-9A-Za-z]{43}$/);
  expect(NONCE_CHARACTERS * Math.log2(62)).toBeGreaterThanOrEqual(256);
});

test('quote.nonce: never the same one twice', () => {
  const nonces = new Set(Array.from({ length: 1000 }, () => makeNonce((length) => randomBytes(length))));
  expect(nonces.size).toBe(1000);
});

test('every character is as likely as every other', () => {
  const counts = new Map<string, number>();
  // Each byte value that is used, once: 31 of them for each nonce.
  for (let start = 0; start < 248; start += 31) {
    const nonce = makeNonce((length) => Uint8Array.from({ length }, (_, index) => (start + index) % 248));
    for (const character of nonce.slice(0, 31)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  expect(counts.size).toBe(62);
  expect(new Set(counts.values())).toEqual(new Set([4]));
});

test('draws again when too many bytes are left out', () => {
  let draws = 0;
  const nonce = makeNonce((length) => {
    draws += 1;
    return new Uint8Array(length).fill(draws === 1 ? 255 : 0);
  });
  expect([nonce, draws]).toEqual(['0'.repeat(43), 2]);
});

test('quote.nonce: bytes that are drawn in bulk are given out once, and are those of the generator', () => {
  let next = 0;
  const counting = inBulk((length) => Uint8Array.from({ length }, () => next++ % 251));
  const given = Array.from({ length: 300 }, () => [...counting(64)]).flat();
  // 64 divides what is drawn at a time, so that nothing is left over.
  expect(given).toEqual(given.map((_, index) => index % 251));
  expect(counting(10_000)).toHaveLength(10_000);
});
