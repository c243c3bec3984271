import { expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { kdfa, kdfe } from '../../../../core/tpm/kdf.ts';
import { loadVectors, unhex } from './vectors.ts';

// OpenSSL's KBKDF and SSKDF, given the same input, are KDFa and KDFe.
for (const { kdf, hash, label, bits, result, ...entry } of loadVectors('kdf')) {
  const [key, u, v] = [unhex(entry.key), unhex(entry.contextU), unhex(entry.contextV)];
  test(`${kdf} with ${hash} gives ${bits} bits as OpenSSL does`, () => {
    const derived =
      kdf === 'kdfa'
        ? kdfa({ hash, key, label, contextU: u, contextV: v, bits })
        : kdfe({ hash, z: key, label, partyU: u, partyV: v, bits });
    expect(toHex(derived)).toBe(result);
  });
}

test('lengths that are not whole bytes are refused', () => {
  for (const bits of [0, -8, 7, 12, 1.5, Number.NaN]) {
    expect(() => kdfa({ hash: 'sha256', key: new Uint8Array(32), label: 'STORAGE', bits })).toThrow(
      RangeError,
    );
  }
});
