import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ResponseAssembler } from '../../../../../agent/tpm/transport/response-assembler.ts';
import { checkCommand, MAX_TPM_BUFFER_BYTES } from '../../../../../agent/tpm/transport/transport.ts';

function response(length: number, announced = length): Uint8Array {
  const bytes = new Uint8Array(length).fill(0xab);
  new DataView(bytes.buffer).setUint16(0, 0x8001);
  new DataView(bytes.buffer).setUint32(2, announced);
  return bytes;
}

describe('ResponseAssembler', () => {
  test('puts a response together however it is cut', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 300 }), cuts, (length, lengths) => {
        const whole = response(length);
        const assembler = new ResponseAssembler();
        let at = 0;
        let result: Uint8Array | undefined;
        for (let index = 0; at < whole.length; index += 1) {
          expect(result).toBeUndefined();
          const end = Math.min(at + (lengths[index % lengths.length] ?? 1), whole.length);
          result = assembler.push(whole.subarray(at, end));
          at = end;
        }
        expect(result).toEqual(whole);
      }),
    );
  });

  test('takes the largest response and refuses one byte more', () => {
    const largest = response(MAX_TPM_BUFFER_BYTES);
    expect(new ResponseAssembler().push(largest)).toEqual(largest);
    expect(() => new ResponseAssembler().push(response(10, MAX_TPM_BUFFER_BYTES + 1))).toThrow(
      'announced a response of 4097 bytes',
    );
  });

  test('refuses a response shorter than its header', () => {
    expect(() => new ResponseAssembler().push(response(10, 9))).toThrow('announced a response of 9 bytes');
  });

  test('refuses bytes after the response', () => {
    expect(() => new ResponseAssembler().push(response(13, 12))).toThrow('of 12 bytes and sent 13');
  });
});

describe('checkCommand', () => {
  test.each([
    ['shorter than a header', response(9)],
    ['over the limit', response(MAX_TPM_BUFFER_BYTES + 1)],
    ['longer than it says', response(12, 11)],
    ['shorter than it says', response(12, 13)],
  ])('refuses a command that is %s', (_, command) => {
    expect(() => checkCommand(command)).toThrow(RangeError);
  });

  test('lets the largest command pass', () => {
    expect(() => checkCommand(response(MAX_TPM_BUFFER_BYTES))).not.toThrow();
  });
});
