import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Reader } from '../../../../core/bytes/reader.ts';
import { concat, Writer } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';

const bytes = Uint8Array.of(0xff, 0x54, 0x43, 0x47, 0x80, 0x18, 0x00, 0x01, 0x02);
const read = (source = bytes) => new Reader(source, 'test');

describe('Reader', () => {
  test('integers of either order, without a sign', () => {
    expect(read().u8('a')).toBe(0xff);
    expect(read().u16('a')).toBe(0xff54);
    expect(read().u32('a')).toBe(0xff544347);
    expect(read().u64('a')).toBe(0xff54_4347_8018_0001n);
    expect(read().u16le('a')).toBe(0x54ff);
    expect(read().u32le('a')).toBe(0x474354ff);
    expect(read().u64le('a')).toBe(0x0100_1880_4743_54ffn);
  });

  test('bytes.bounds: a read past the end fails and does not move', () => {
    const r = read(bytes.subarray(0, 1));
    for (const act of [
      () => r.u16('a'),
      () => r.u32('a'),
      () => r.u64('a'),
      () => r.u16le('a'),
      () => r.u32le('a'),
      () => r.u64le('a'),
      () => r.raw(2, 'a'),
      () => r.sized16('a', 8),
    ]) {
      expect(act).toThrow(expect.objectContaining({ name: 'ParseError', field: 'test.a', offset: 0 }));
    }
    expect(r.remaining).toBe(1);
    expect(r.u8('a')).toBe(0xff);
  });

  test('a view into a bigger buffer sees only its part', () => {
    const r = read(bytes.subarray(4, 6));
    expect(r.u16('a')).toBe(0x8018);
    expect(() => r.u8('a')).toThrow(ParseError);
  });

  test('parts of a Buffer are plain, and views', () => {
    const source = Buffer.from(bytes);
    const part = read(source).raw(4, 'a');
    expect(part.constructor).toBe(Uint8Array);
    expect(part.buffer).toBe(source.buffer);
  });

  test('bytes.bounds: a length over its limit fails before it is used', () => {
    expect(() => read(Uint8Array.of(0xff, 0xff, 1)).sized16('a', 64)).toThrow(
      /length 65535 is over the limit of 64/,
    );
    expect(() => read(Uint8Array.of(0xff, 0xff, 0xff, 0xff)).sized32('a', 64)).toThrow(
      /over the limit of 64/,
    );
    expect(() => read(Uint8Array.of(0xff, 0xff, 0xff, 0xff)).count32('a', 64)).toThrow(
      /over the limit of 64/,
    );
    expect(read(Uint8Array.of(0, 2, 7, 8)).sized16('a', 2)).toEqual(Uint8Array.of(7, 8));
    expect(read(Uint8Array.of(0, 0, 0, 2)).count32('a', 2)).toBe(2);
  });

  test('a length that is no length is a fault of the caller, and does not move back', () => {
    const r = read();
    r.u32('a');
    for (const length of [-1, Number.NaN]) expect(() => r.raw(length, 'a')).toThrow(RangeError);
    expect(r.offset).toBe(4);
  });

  test('errors inside a nested structure point into the outermost one', () => {
    const r = read(Uint8Array.of(0xaa, 0, 3, 1, 2, 3));
    r.u8('first');
    const inner = r.nested16('inner', 8);
    inner.u8('x');
    expect(() => inner.u32('y')).toThrow(expect.objectContaining({ field: 'test.inner.y', offset: 4 }));
    expect(() => inner.end()).toThrow(/2 trailing bytes/);
    expect(r.offset).toBe(6);
  });

  test('bytes.bounds: what is left is an error', () => {
    const r = read();
    r.raw(8, 'a');
    expect(() => r.end()).toThrow(
      expect.objectContaining({ field: 'test.end', message: expect.stringMatching(/1 trailing/) }),
    );
    r.u8('b');
    expect(() => r.end()).not.toThrow();
  });

  test('a failure names the rule it is about', () => {
    expect(() => read().fail('a', 'is wrong')).toThrow(
      expect.objectContaining({ rule: 'bytes.bounds', code: 'malformed' }),
    );
    expect(() => read().fail('a', 'is wrong', 'bytes.known')).toThrow(
      expect.objectContaining({ rule: 'bytes.known' }),
    );
  });
});

describe('Writer', () => {
  test('what is written is read back', () => {
    const input = fc.record({
      u8: fc.nat(0xff),
      u16: fc.nat(0xffff),
      u32: fc.nat(0xffffffff),
      u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      sized: fc.uint8Array(),
    });
    fc.assert(
      fc.property(input, (x) => {
        const w = new Writer().u8(x.u8).u16(x.u16).u32(x.u32).u64(x.u64).u16le(x.u16).u32le(x.u32);
        w.sized16(x.sized)
          .sized32(x.sized)
          .nested16((inner) => inner.u8(x.u8).sized16(x.sized));
        const r = new Reader(w.bytes(), 'test');
        const got = { u8: r.u8('a'), u16: r.u16('b'), u32: r.u32('c'), u64: r.u64('d') };
        expect([got, r.u16le('e'), r.u32le('f')]).toEqual(
          [{ ...got, ...x, sized: undefined }, x.u16, x.u32].map(strip),
        );
        expect(r.sized16('g', 64)).toEqual(x.sized);
        expect(r.sized32('h', 64)).toEqual(x.sized);
        const inner = r.nested16('i', 128);
        expect([inner.u8('a'), inner.sized16('b', 64)]).toEqual([x.u8, x.sized]);
        inner.end();
        r.end();
      }),
    );
  });

  test('a value that does not fit is a fault of the caller', () => {
    for (const value of [-1, 0x100, 1.5, Number.NaN])
      expect(() => new Writer().u8(value)).toThrow(RangeError);
    expect(() => new Writer().u16(0x10000)).toThrow(RangeError);
    expect(() => new Writer().u32(2 ** 32)).toThrow(RangeError);
    for (const value of [-1n, 1n << 64n]) expect(() => new Writer().u64(value)).toThrow(RangeError);
    expect(() => new Writer().sized16(new Uint8Array(0x10000))).toThrow(RangeError);
  });

  test('concat of nothing is nothing', () => {
    expect(concat()).toEqual(new Uint8Array());
    expect(concat(Uint8Array.of(1), new Uint8Array(), Uint8Array.of(2, 3))).toEqual(Uint8Array.of(1, 2, 3));
  });
});

/** Leaves out what is undefined. */
function strip(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
