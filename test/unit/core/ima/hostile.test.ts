import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';
import { parseImaAscii } from '../../../../core/ima/ascii.ts';
import { parseImaList } from '../../../../core/ima/binary.ts';
import { imaEntry } from '../../../../core/ima/entry.ts';
import type { ImaList } from '../../../../core/ima/list.ts';
import { asciiList, binaryList } from './vectors.ts';

const NAMES = ['ima-custom-policy-mixed', 'ima-legacy-sha1', 'ima-sig', 'ima-critical-data'];

const forms = [
  { form: 'binary', parse: parseImaList, read: binaryList },
  { form: 'text', parse: parseImaAscii, read: asciiList },
];
const cases = forms.flatMap(({ form, parse, read }) =>
  NAMES.map((name) => ({ name: `${name} (${form})`, form, parse, bytes: read(name) })),
);

/** Reads everything that can be read: a list that was accepted must not fail later. */
function walk(list: ImaList): void {
  for (let i = 0; i < list.length; i++) imaEntry(list, i);
}

/** Whether `bytes` parse; anything but a ParseError within the bytes fails the test. */
function parses(parse: (bytes: Uint8Array) => ImaList, bytes: Uint8Array): boolean {
  try {
    walk(parse(bytes));
    return true;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    expect(error.offset).toBeGreaterThanOrEqual(0);
    expect(error.offset).toBeLessThanOrEqual(bytes.length);
    return false;
  }
}

describe.each(cases)('hostile bytes: $name', ({ form, parse, bytes }) => {
  test('bytes.bounds: a strict prefix parses only where an entry ends', () => {
    const part = bytes.subarray(0, 2400);
    const ends = new Set([...parse(bytes).columns.start]);
    for (let length = 0; length < part.length; length++) {
      if (!parses(parse, part.subarray(0, length)) || form === 'text') continue;
      expect(ends).toContain(length);
    }
  });

  test('one changed byte is refused or read, never anything else', () => {
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(change, ([at, by]) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ by;
        parses(parse, changed);
      }),
      { numRuns: 400 },
    );
  });

  test('parts of lists put together at any place', () => {
    const cut = fc.tuple(fc.nat(bytes.length), fc.nat(bytes.length), fc.uint8Array({ maxLength: 64 }));
    fc.assert(
      fc.property(cut, ([from, to, junk]) => {
        parses(parse, concat(bytes.subarray(0, from), junk, bytes.subarray(to)));
      }),
      { numRuns: 200 },
    );
  });
});

describe.each(forms)('hostile bytes: any bytes at all ($form)', ({ parse }) => {
  test('are refused unless there are none', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        (bytes) => parses(parse, bytes) === (bytes.length === 0),
      ),
    );
  });
});
