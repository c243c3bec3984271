import { describe, expect, test } from 'vitest';
import { parsePcrBlob, renderPcrBlob } from '../../../../../core/messages/keylime/pcr-blob.ts';
import { loadVectors, patched, unbase64, vector } from '../../tpm/vectors.ts';

const quotes = loadVectors('quote');
const blobOf = (name: string) => unbase64(vector(quotes, name).pcrBlob ?? '');
const blob = blobOf('rsassa-sha256-ok');

// Offsets: count, 16 selections of 8 bytes, number of lists; in a list its count and 8 slots of 66 bytes.
const FIRST_SELECTION = 4;
const SECOND_SELECTION = 12;
const LISTS = 4 + 16 * 8;
const FIRST_LIST = LISTS + 4;
const SECOND_LIST = FIRST_LIST + 4 + 8 * 66;

describe('PCR values as tpm2-tools dumps them', () => {
  for (const { name, pcrBlob } of quotes) {
    if (pcrBlob === undefined) continue;
    test(`${name}: read, and written the same`, () => {
      const bytes = unbase64(pcrBlob);
      const { selections, values } = parsePcrBlob(bytes);
      expect(renderPcrBlob(selections, values)).toEqual(bytes);
    });
  }

  test('the values of several banks follow each other', () => {
    const { selections, values } = parsePcrBlob(blobOf('two-banks-ok'));
    expect(selections.map(({ hash }) => hash)).toEqual(['sha1', 'sha256']);
    expect([...(values.get('sha1')?.values() ?? [])].map(({ length }) => length)).toEqual(Array(11).fill(20));
    expect([...(values.get('sha256')?.keys() ?? [])]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(values.get('sha256')).toEqual(parsePcrBlob(blob).values.get('sha256'));
  });

  test('a bank without a bitmap is an empty selection', () => {
    const empty = new Uint8Array(LISTS + 4);
    empty.set([1, 0, 0, 0, 0x0b, 0x00, 0]);
    expect(parsePcrBlob(empty)).toEqual({
      selections: [{ hash: 'sha256', pcrs: [] }],
      values: new Map([['sha256', new Map()]]),
    });
  });
});

describe('PCR values are refused', () => {
  const cases = [
    ['17 banks', patched(blob, 0, 17), 'selection.count', 'bytes.bounds'],
    ['an unknown bank', patched(blob, FIRST_SELECTION, 0x12), 'selection.hash', 'bytes.known'],
    ['a big-endian bank', patched(blob, FIRST_SELECTION, 0x00, 0x0b), 'selection.hash', 'bytes.known'],
    ['the same bank twice', twoEqualBanks(), 'selection.hash', 'bytes.duplicates'],
    [
      'a bitmap of two bytes',
      patched(blob, FIRST_SELECTION + 2, 2),
      'selection.sizeofSelect',
      'bytes.bounds',
    ],
    [
      'a bitmap of four bytes',
      patched(blob, FIRST_SELECTION + 2, 4),
      'selection.sizeofSelect',
      'bytes.bounds',
    ],
    ['padding that is not zero', patched(blob, FIRST_SELECTION + 7, 1), 'selection.padding', 'bytes.bounds'],
    [
      'an unused selection that is not zero',
      patched(blob, SECOND_SELECTION, 0x04),
      'selection.unused',
      'bytes.bounds',
    ],
    ['more lists than there can be values', patched(blob, LISTS, 0xff, 0xff), 'digests', 'bytes.bounds'],
    ['a list without values', patched(blob, FIRST_LIST, 0), 'digests.count', 'bytes.bounds'],
    ['a list of nine values', patched(blob, FIRST_LIST, 9), 'digests.count', 'bytes.bounds'],
    ['a value longer than its slot', patched(blob, FIRST_LIST + 4, 65), 'digests.size', 'bytes.bounds'],
    ['a value shorter than the bank', shorterValue(), 'digests.size', 'bytes.bounds'],
    [
      'a slot whose rest is not zero',
      patched(blob, FIRST_LIST + 4 + 2 + 32, 1),
      'digests.padding',
      'bytes.bounds',
    ],
    ['a slot beyond the count', patched(blob, SECOND_LIST, 2), 'digests.unused', 'bytes.bounds'],
    ['a PCR without a value', patched(blob, FIRST_SELECTION + 4, 0x0f), 'digests', 'bytes.bounds'],
    ['a value without a PCR', patched(blob, FIRST_SELECTION + 4, 0x03), 'digests', 'bytes.bounds'],
  ] as const;

  for (const [name, bytes, field, rule] of cases) {
    test(`${rule}: ${name}`, () => {
      expect(() => parsePcrBlob(bytes)).toThrow(
        expect.objectContaining({ name: 'ParseError', field: `pcrs.${field}`, rule }),
      );
    });
  }
});

test('values of the wrong size, or missing, are not written', () => {
  const selections = [{ hash: 'sha256', pcrs: [3] }] as const;
  expect(() => renderPcrBlob(selections, new Map())).toThrow(RangeError);
  expect(() => renderPcrBlob(selections, new Map([['sha256', new Map([[3, new Uint8Array(20)]])]]))).toThrow(
    RangeError,
  );
});

function twoEqualBanks(): Uint8Array {
  const selection = blob.subarray(FIRST_SELECTION, SECOND_SELECTION);
  return patched(patched(blob, 0, 2), SECOND_SELECTION, ...selection);
}

/** The first value cut by a byte, which leaves its padding zero. */
function shorterValue(): Uint8Array {
  return patched(patched(blob, FIRST_LIST + 4, 31), FIRST_LIST + 4 + 2 + 31, 0);
}
