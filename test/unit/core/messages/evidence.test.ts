import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';
import { parseEvidence, renderEvidenceHeader } from '../../../../core/messages/evidence.ts';

const bytes = () => fc.uint8Array({ maxLength: 64 });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

describe('evidence on the wire', () => {
  test('what is rendered is what is parsed', () => {
    const property = fc.property(
      fc.string(),
      maybe(bytes()),
      maybe(fc.oneof(bytes(), fc.constant('same' as const))),
      maybe(fc.record({ bytes: bytes(), entry: fc.nat(), offset: fc.nat() })),
      (quote, firmware, userspace, ima) => {
        const sizeOf = (log: Uint8Array | 'same' | undefined) =>
          log === 'same' ? log : (log?.length ?? null);
        const header = { quote, firmware: sizeOf(firmware), userspace: sizeOf(userspace) };
        const head = renderEvidenceHeader({
          ...header,
          ima: ima ? { entry: ima.entry, offset: ima.offset } : null,
        });
        const parts = [firmware, userspace, ima?.bytes].filter((part) => part instanceof Uint8Array);
        expect(parseEvidence(concat(head, ...parts))).toEqual({ quote, firmware, userspace, ima });
      },
    );
    fc.assert(property);
  });

  test('bytes.bounds: a body that is cut or longer than it says is refused', () => {
    const body = concat(
      renderEvidenceHeader({ quote: 'r', firmware: 3, userspace: 2, ima: null }),
      Uint8Array.of(1, 2, 3, 4, 5),
    );
    for (let end = 0; end < body.length; end += 1) {
      expect(() => parseEvidence(body.subarray(0, end)), String(end)).toThrow(ParseError);
    }
    expect(() => parseEvidence(concat(body, Uint8Array.of(0)))).toThrow(
      /1 bytes more than the header announces/,
    );
  });

  test.each([
    ['no JSON', '{'],
    ['no object', 'null'],
    ['no quote', '{}'],
    ['a size that is none', '{"quote":"r","firmware":-1}'],
    ['a size beyond the body', '{"quote":"r","userspace":1}'],
    ['a position that is none', '{"quote":"r","ima":{"entry":0}}'],
  ])('%s is refused', (_name, json) => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(json.length);
    expect(() => parseEvidence(concat(size, Buffer.from(json)))).toThrow(ParseError);
  });

  test('nothing but ParseError comes of any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (body) => {
        try {
          parseEvidence(body);
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError);
        }
      }),
    );
  });
});
