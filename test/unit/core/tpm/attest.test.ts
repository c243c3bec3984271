import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { ParseError } from '../../../../core/errors.ts';
import { marshalTpmsAttest, parseTpmsAttest } from '../../../../core/tpm/attest.ts';
import { loadVectors, patched, unhex, vector } from './vectors.ts';

const quote = unhex(vector(loadVectors('quote'), 'rsassa-sha256-ok').attest);

// Offsets in this quote: magic, type, qualifiedSigner (2+34), extraData (2+32), clockInfo, firmwareVersion.
const EXTRA_DATA = 6 + 36;
const CLOCK_INFO = EXTRA_DATA + 34;
const SAFE = CLOCK_INFO + 16;
const SELECT = SAFE + 1 + 8;

describe('TPMS_ATTEST', () => {
  test('a quote', () => {
    const attest = parseTpmsAttest(quote);
    expect(attest).toMatchObject({
      clockInfo: { clock: 23980n, resetCount: 2, restartCount: 0, safe: true },
      firmwareVersion: 2312897626142815798n,
      attested: { type: 'quote', pcrSelect: [{ hash: 'sha256', pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }] },
    });
    expect(toHex(attest.qualifiedSigner)).toBe(
      '000b274e44837309b47314c452ce772edab6391bc1ac04304449dba13188f1cc86c1',
    );
    expect(toHex(attest.extraData)).toBe('00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef');
  });

  test('a certification', () => {
    const [certify] = loadVectors('certify');
    const { attested } = parseTpmsAttest(unhex(certify?.attest ?? ''));
    expect(attested.type === 'certify' && toHex(attested.name)).toBe(certify?.objectName);
  });

  test('what a TPM wrote is written the same', () => {
    for (const { name, attest } of loadVectors('quote')) {
      if (name === 'msg-trailing' || name === 'msg-truncated') continue;
      expect(toHex(marshalTpmsAttest(parseTpmsAttest(unhex(attest))))).toBe(attest);
    }
  });

  test('64-bit values above 2^53 are exact', () => {
    const bytes = patched(quote, CLOCK_INFO, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe);
    expect(parseTpmsAttest(bytes).clockInfo.clock).toBe(0xffff_ffff_ffff_fffen);
  });

  test('an unsafe clock is not read as safe', () => {
    expect(parseTpmsAttest(patched(quote, SAFE, 0)).clockInfo.safe).toBe(false);
  });
});

describe('TPMS_ATTEST is refused', () => {
  const cases = [
    ['magic that is one bit off', patched(quote, 0, 0xfe), 'magic', 'bytes.known'],
    ['a session audit', patched(quote, 5, 0x16), 'type', 'bytes.known'],
    ['a Name longer than any', longSigner(), 'qualifiedSigner', 'bytes.bounds'],
    ['extraData longer than any', patched(quote, EXTRA_DATA, 0, 67), 'extraData', 'bytes.bounds'],
    ['a clock that is neither safe nor not', patched(quote, SAFE, 2), 'clockInfo.safe', 'bytes.known'],
    ['17 banks', patched(quote, SELECT + 3, 17), 'pcrSelect.count', 'bytes.bounds'],
    ['an unknown bank', patched(quote, SELECT + 5, 0x12), 'pcrSelect.hash', 'bytes.known'],
    ['a bitmap of two bytes', patched(quote, SELECT + 6, 2), 'pcrSelect.sizeofSelect', 'bytes.bounds'],
    ['a bitmap of four bytes', patched(quote, SELECT + 6, 4), 'pcrSelect.sizeofSelect', 'bytes.bounds'],
    ['a digest longer than any', patched(quote, SELECT + 11, 65), 'pcrDigest', 'bytes.bounds'],
  ] as const;

  for (const [name, bytes, field, rule] of cases) {
    test(`${rule}: ${name}`, () => {
      expect(() => parseTpmsAttest(bytes)).toThrow(
        expect.objectContaining({ name: 'ParseError', field: `TPMS_ATTEST.${field}`, rule }),
      );
    });
  }

  test('bytes.duplicates: the same bank twice', () => {
    const bank = quote.subarray(SELECT + 4, SELECT + 10);
    const twice = Uint8Array.of(...quote.subarray(0, SELECT + 3), 2, ...bank, ...quote.subarray(SELECT + 4));
    expect(() => parseTpmsAttest(twice)).toThrow(expect.objectContaining({ rule: 'bytes.duplicates' }));
    const two = patched(twice, SELECT + 5, 0x0c);
    expect(() => parseTpmsAttest(two)).not.toThrow(ParseError);
  });
});

/** A qualifiedSigner of 67 bytes that are all there. */
function longSigner(): Uint8Array {
  const rest = quote.subarray(EXTRA_DATA);
  return Uint8Array.of(...quote.subarray(0, 6), 0, 67, ...new Uint8Array(67), ...rest);
}
