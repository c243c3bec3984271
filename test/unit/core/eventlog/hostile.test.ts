import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';
import { type EventLogOptions, parseEventLog } from '../../../../core/eventlog/parse.ts';
import { replayEventLog } from '../../../../core/eventlog/replay.ts';
import { TPM_ALG } from '../../../../core/tpm/constants.ts';
import { legacyEvent, logBytes, specId } from './vectors.ts';

const legacy = concat(
  legacyEvent({ pcr: 0, type: 8, data: Uint8Array.of(1, 2) }),
  legacyEvent({ pcr: 7, type: 4, data: new Uint8Array(4).fill(0xff) }),
  legacyEvent({ pcr: 4, type: 5, data: new Uint8Array(20).fill(0x41) }),
);
const cases = [
  ...['direct-clean-1', 'uki-clean', 'bios-seabios'].map((name) => ({ name, bytes: logBytes(name) })),
  { name: 'of SHA-1 digests', bytes: legacy },
];

/** Whether `bytes` parse; anything but a ParseError within the bytes fails the test. */
function parses(bytes: Uint8Array, options?: EventLogOptions): boolean {
  try {
    replayEventLog(parseEventLog(bytes, options));
    return true;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    expect(error.offset).toBeGreaterThanOrEqual(0);
    expect(error.offset).toBeLessThanOrEqual(bytes.length);
    return false;
  }
}

describe.each(cases)('hostile bytes: $name', ({ bytes }) => {
  test('bytes.bounds: a strict prefix parses only where an event ends, or where what is cut looks like padding', () => {
    const log = parseEventLog(bytes);
    const ends = new Set(log.events.map(({ offset }) => offset));
    const limit = Math.min(bytes.length, 3000);
    for (let length = 0; length < limit; length++) {
      const part = bytes.subarray(0, length);
      if (!parses(part)) continue;
      const { sizeBytes, warnings } = parseEventLog(part);
      expect(ends).toContain(sizeBytes);
      expect(warnings.filter(({ code }) => code === 'padding')).toHaveLength(sizeBytes === length ? 0 : 1);
    }
  });

  test('a prefix that holds an event is always shown when a cut is tolerated', () => {
    const first = parseEventLog(bytes).events[1]?.offset ?? 0;
    for (let length = first; length < Math.min(bytes.length, 2000); length++) {
      expect(parses(bytes.subarray(0, length), { tolerateTruncation: true })).toBe(true);
    }
  });

  test('changed bytes are refused or read, never anything else', () => {
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const changed = Uint8Array.from(bytes);
        for (const [at, by] of changes) changed[at] = (changed[at] ?? 0) ^ by;
        parses(changed);
        parses(changed, { tolerateTruncation: true });
      }),
      { numRuns: 500 },
    );
  });
});

test('arbitrary bytes are refused or read', () => {
  const header = specId([[TPM_ALG.SHA256, 32]]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      parses(bytes);
      parses(concat(header, bytes));
    }),
    { numRuns: 500 },
  );
});

test('zeros in which every event could be the start of the padding take linear time', () => {
  const header = specId([[TPM_ALG.SHA256, 32]]);
  // 16 zero bytes are an event without digest and data: 250,000 of them, and no padding since a byte is set at the end.
  const bytes = concat(header, new Uint8Array(4_000_000), Uint8Array.of(1));
  const start = performance.now();
  expect(() => parseEventLog(bytes, { maxEvents: 1_000_000 })).toThrow(ParseError);
  expect(performance.now() - start).toBeLessThan(3000);
});
