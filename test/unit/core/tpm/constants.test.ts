import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { Reader } from '../../../../core/bytes/reader.ts';
import { digestSize, hashAlgOf, hashNameOf, TPM_ALG } from '../../../../core/tpm/constants.ts';
import { bitmapOfPcrs, pcrsOfBitmap, readTpmlPcrSelection } from '../../../../core/tpm/pcr-selection.ts';
import { unhex } from './vectors.ts';

test('each hash has its algorithm, its name and its size', () => {
  for (const name of ['sha1', 'sha256', 'sha384', 'sha512'] as const) {
    expect(hashNameOf(hashAlgOf(name))).toBe(name);
    expect(digestSize(name)).toBe(hash(name, '', 'buffer').length);
  }
});

test('other algorithms are not hashes', () => {
  for (const algorithm of [TPM_ALG.NULL, TPM_ALG.AES, 0x0012, 0x0027, -1])
    expect(hashNameOf(algorithm)).toBeUndefined();
});

test('PCR n is bit n mod 8 of byte n / 8', () => {
  expect([...bitmapOfPcrs([0, 10, 23])]).toEqual([0x01, 0x04, 0x80]);
  expect(pcrsOfBitmap(Uint8Array.of(0x80, 0x01, 0))).toEqual([7, 8]);
});

test('there is no PCR 24, nor one before 0 or between two', () => {
  for (const pcr of [24, -1, 1.5, Number.NaN]) expect(() => bitmapOfPcrs([pcr])).toThrow(RangeError);
});

test('banks of unknown hashes are refused, or left out where a TPM lists what it has', () => {
  const list = unhex('00000002000b03ffffff001203ffffff');
  expect(() => readTpmlPcrSelection(new Reader(list, 'test'))).toThrow(/0x0012 is not supported/);
  const r = new Reader(list, 'test');
  expect(readTpmlPcrSelection(r, 'skip').map(({ hash: bank }) => bank)).toEqual(['sha256']);
  r.end();
});
