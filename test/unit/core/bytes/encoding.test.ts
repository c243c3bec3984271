import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  equalBytes,
  fromBase64,
  fromHex,
  printable,
  toBase64,
  toHex,
} from '../../../../core/bytes/encoding.ts';
import { ParseError } from '../../../../core/errors.ts';

describe('hex and base64', () => {
  test('what is written is read back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(fromHex(toHex(bytes), 'a')).toEqual(bytes);
        expect(fromHex(toHex(bytes).toUpperCase(), 'a')).toEqual(bytes);
        expect(fromBase64(toBase64(bytes), 'a')).toEqual(bytes);
      }),
    );
  });

  test('views into a bigger buffer', () => {
    expect(toHex(Uint8Array.of(1, 2, 3, 4).subarray(1, 3))).toBe('0203');
    expect(toBase64(Uint8Array.of(1, 2, 3, 4).subarray(1, 3))).toBe('AgM=');
  });

  for (const text of ['0', '0g', '0x00', ' 00', '00\n']) {
    test(`${JSON.stringify(text)} is not hex`, () => {
      expect(() => fromHex(text, 'field')).toThrow(
        expect.objectContaining({ name: 'ParseError', field: 'field' }),
      );
    });
  }

  for (const text of ['A', 'AQ', 'AQ=', 'AR==', 'AQ==\n', 'AQ==AQ==', '-_==', '====', 'A===', 'AQ ==']) {
    test(`${JSON.stringify(text)} is not base64`, () => {
      expect(() => fromBase64(text, 'field')).toThrow(ParseError);
    });
  }

  test('a long text is refused in linear time', () => {
    expect(() => fromBase64(`${'A'.repeat(4_000_000)}!AAA`, 'field')).toThrow(ParseError);
    expect(() => fromHex(`${'a'.repeat(4_000_000)}!a`, 'field')).toThrow(ParseError);
  });
});

test('bytes are equal when length and contents are', () => {
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
  expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1))).toBe(false);
  expect(equalBytes(new Uint8Array(), new Uint8Array())).toBe(true);
});

describe('bytes.text: printable', () => {
  const cases = [
    ['a line break', '/tmp/a\nFAIL', '/tmp/a\\x0aFAIL'],
    ['a carriage return and a tab', 'a\r\tb', 'a\\x0d\\x09b'],
    ['a terminal code', '\u001b[31mred', '\\x1b[31mred'],
    ['a one-byte terminal code', '\u009b31m', '\\x9b31m'],
    ['a backslash', '\\x0a', '\\x5cx0a'],
    ['a bidirectional override', 'a\u202eb', 'a\\u{202e}b'],
    ['an isolate', 'a\u2066b', 'a\\u{2066}b'],
    ['a zero-width space', 'a\u200bb', 'a\\u{200b}b'],
    ['a line separator', 'a\u2028b', 'a\\u{2028}b'],
    ['half a surrogate pair', 'a\ud800b', 'a\\u{d800}b'],
    ['text that is fine', 'Grüße, 世界 🙂', 'Grüße, 世界 🙂'],
  ] as const;
  for (const [name, text, expected] of cases) {
    test(name, () => {
      expect(printable(text)).toBe(expected);
    });
  }

  test('bytes that are not UTF-8', () => {
    expect(printable(Uint8Array.of(0x61, 0xff, 0x62))).toBe('a\\xffb');
    expect(printable(new TextEncoder().encode('ü'))).toBe('ü');
  });

  test('two byte strings never look the same', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        expect(printable(a) === printable(b)).toBe(equalBytes(a, b));
      }),
    );
  });
});
