import { describe, expect, test } from 'vitest';
import { concat } from '../../../../core/bytes/writer.ts';
import { EV } from '../../../../core/eventlog/event-type.ts';
import { parseEventLog } from '../../../../core/eventlog/parse.ts';
import { TPM_ALG } from '../../../../core/tpm/constants.ts';
import {
  agileEvent,
  agileLog,
  ascii,
  digests,
  index,
  legacyEvent,
  logBytes,
  parseErrorOf,
  specId,
} from './vectors.ts';

const SM3 = 0x0012;
const D32 = new Uint8Array(32).fill(7);
const D20 = new Uint8Array(20).fill(9);
const separator = { pcr: 7, type: EV.SEPARATOR, data: new Uint8Array(4), digests: digests('sha256', D32) };
const SPEC_ID_BYTES = specId([[TPM_ALG.SHA256, 32]]).length;

const codes = (bytes: Uint8Array) => parseEventLog(bytes).warnings.map(({ code, offset }) => [code, offset]);

describe('real logs', () => {
  test.each(Object.entries(index.boots))('%s is read without a warning', (name, boot) => {
    const log = parseEventLog(logBytes(name));
    expect(log.format).toBe('crypto-agile');
    expect(log.banks.map(({ hash }) => hash)).toEqual(boot.banks);
    expect(log.events).toHaveLength(boot.events);
    expect(log.warnings).toEqual([]);
    expect(log.sizeBytes).toBe(logBytes(name).length);
  });

  test('an event has its place, type, digests and data', () => {
    const log = parseEventLog(logBytes('sb-clean-1'));
    const event = log.events[4];
    expect(event).toMatchObject({ index: 4, pcr: 7, type: EV.EFI_VARIABLE_DRIVER_CONFIG });
    expect(event?.typeName).toBe('EV_EFI_VARIABLE_DRIVER_CONFIG');
    expect(event?.digests.map(({ bank, digest }) => [bank.hash, digest.length])).toEqual([
      ['sha1', 20],
      ['sha256', 32],
    ]);
    const bytes = logBytes('sb-clean-1');
    const { dataOffset = 0, data = new Uint8Array() } = event ?? {};
    expect(data).toEqual(bytes.subarray(dataOffset, dataOffset + data.length));
    expect(log.events[5]?.offset).toBe(dataOffset + data.length);
  });

  test('nothing is copied', () => {
    const bytes = logBytes('sb-clean-1');
    const { events } = parseEventLog(bytes);
    expect(events.every(({ data }) => data.buffer === bytes.buffer)).toBe(true);
  });

  test.each(Object.entries(index.doctored).filter(([, { failing }]) => failing.includes('parse')))(
    '%s is refused',
    (name) => {
      expect(parseErrorOf(() => parseEventLog(logBytes(name))).offset).toBeGreaterThan(0);
    },
  );

  test('padding behind the last event is told with its place', () => {
    expect(codes(logBytes('ev-zero-padded'))).toEqual([['padding', 2464]]);
    expect(parseEventLog(logBytes('ev-zero-padded')).sizeBytes).toBe(2464);
  });
});

describe('the first event', () => {
  test('a log without Spec ID has SHA-1 digests', () => {
    const log = parseEventLog(
      concat(
        legacyEvent({ pcr: 0, type: EV.S_CRTM_VERSION, digests: [[0, D20]], data: ascii('1') }),
        legacyEvent({ pcr: 0xffffffff, type: EV.NO_ACTION, data: ascii('anything') }),
      ),
    );
    expect(log.format).toBe('sha1');
    expect(log.events.map(({ pcr }) => pcr)).toEqual([0, 0xffffffff]);
    expect(log.events[0]?.digests[0]?.digest).toEqual(D20);
  });

  test.each(['Spec ID Event00\0', 'Spec ID Event02\0'])('%j is a log of SHA-1 digests', (signature) => {
    const log = parseEventLog(
      concat(specId([], { signature }), legacyEvent({ pcr: 4, type: EV.ACTION, data: ascii('go') })),
    );
    expect(log.format).toBe('sha1');
    expect(log.events).toHaveLength(2);
  });

  test('bytes.known: another version is refused', () => {
    const bytes = specId([[TPM_ALG.SHA256, 32]], { signature: 'Spec ID Event04\0' });
    expect(parseErrorOf(() => parseEventLog(bytes))).toEqual({
      field: 'TCG_EfiSpecIdEvent.signature',
      offset: 32,
      rule: 'bytes.known',
    });
  });

  test('bytes.duplicates: a bank that is named twice is refused', () => {
    const bytes = specId([
      [TPM_ALG.SHA256, 32],
      [TPM_ALG.SHA256, 32],
    ]);
    expect(parseErrorOf(() => parseEventLog(bytes)).rule).toBe('bytes.duplicates');
  });

  test('bytes.bounds: a digest size that is not the algorithm’s is refused', () => {
    const bytes = specId([[TPM_ALG.SHA256, 20]]);
    expect(parseErrorOf(() => parseEventLog(bytes)).field).toBe('TCG_EfiSpecIdEvent.digestSize');
  });

  test.each([0, 65])('bytes.bounds: a digest size of %i is refused', (size) => {
    const bytes = specId([[SM3, size]]);
    expect(parseErrorOf(() => parseEventLog(bytes)).field).toBe('TCG_EfiSpecIdEvent.digestSize');
  });

  test.each([0, 17, 0xffffffff])('bytes.bounds: %i banks are refused', (count) => {
    const many = Array.from({ length: 17 }, (_, i) => [0x100 + i, 32] as const);
    const bytes = specId(many, { count });
    expect(parseErrorOf(() => parseEventLog(bytes)).field).toBe('TCG_EfiSpecIdEvent.numberOfAlgorithms');
  });

  test('a bank that is unknown is read by its size', () => {
    const bytes = concat(
      specId([
        [SM3, 32],
        [TPM_ALG.SHA256, 32],
      ]),
      agileEvent({
        ...separator,
        digests: [
          [TPM_ALG.SHA256, D32],
          [SM3, D32],
        ],
      }),
    );
    const log = parseEventLog(bytes);
    expect(log.banks.map(({ alg, hash }) => [alg, hash])).toEqual([
      [SM3, undefined],
      [TPM_ALG.SHA256, 'sha256'],
    ]);
    expect(log.events[1]?.digests).toHaveLength(2);
  });

  test.each([
    ['missing', new Uint8Array()],
    ['too long', Uint8Array.of(1)],
    ['too short', Uint8Array.of(0, 1)],
  ])('vendor information that is %s is a warning', (_, tail) => {
    const bytes = concat(specId([[TPM_ALG.SHA256, 32]], { tail }), agileEvent(separator));
    expect(codes(bytes)).toEqual([['spec-id', 64]]);
  });
});

describe('events', () => {
  test.each([0x00, 0xff])('filling of 0x%x behind the last event is padding', (fill) => {
    const log = agileLog('sha256', separator);
    for (const count of [1, 3, 4, 12, 5000]) {
      expect(codes(concat(log, new Uint8Array(count).fill(fill)))).toEqual([['padding', log.length]]);
    }
  });

  test('filling with anything behind it is refused', () => {
    const log = agileLog('sha256', separator);
    expect(() => parseEventLog(concat(log, new Uint8Array(40), Uint8Array.of(1)))).toThrow(/digest/);
  });

  test.each([
    ['no bytes', new Uint8Array()],
    ['nothing but zeros', new Uint8Array(4096)],
    ['nothing but ones', new Uint8Array(4096).fill(0xff)],
  ])('bytes.bounds: a log of %s is refused', (_, bytes) => {
    expect(() => parseEventLog(bytes)).toThrow(/no bytes|no events|bytes left|left$/);
  });

  test('bytes.known: a digest of an algorithm that the log does not declare is refused', () => {
    const event = agileEvent({ ...separator, digests: [[TPM_ALG.SHA1, D20]] });
    const bytes = concat(specId([[TPM_ALG.SHA256, 32]]), event);
    expect(parseErrorOf(() => parseEventLog(bytes))).toEqual({
      field: 'TCG_PCR_EVENT2.digests.hashAlg',
      offset: SPEC_ID_BYTES + 14,
      rule: 'bytes.known',
    });
  });

  test('bytes.duplicates: two digests of one bank are refused', () => {
    const event = agileEvent({
      ...separator,
      digests: [
        [TPM_ALG.SHA256, D32],
        [TPM_ALG.SHA256, D32],
      ],
    });
    const banks = specId([
      [TPM_ALG.SHA256, 32],
      [TPM_ALG.SHA1, 20],
    ]);
    expect(parseErrorOf(() => parseEventLog(concat(banks, event))).rule).toBe('bytes.duplicates');
  });

  test('more digests than banks are refused before they are read', () => {
    const event = Uint8Array.of(7, 0, 0, 0, 4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff);
    const bytes = concat(specId([[TPM_ALG.SHA256, 32]]), event);
    expect(parseErrorOf(() => parseEventLog(bytes)).field).toBe('TCG_PCR_EVENT2.digests.count');
  });

  test('a missing digest is a warning', () => {
    const banks = specId([
      [TPM_ALG.SHA256, 32],
      [TPM_ALG.SHA1, 20],
    ]);
    expect(codes(concat(banks, agileEvent(separator)))).toEqual([['digest-missing', banks.length + 8]]);
  });

  test('an event type without a meaning is a warning', () => {
    const bytes = agileLog('sha256', { ...separator, type: 0x90000001 });
    expect(codes(bytes)).toEqual([['event-type', SPEC_ID_BYTES + 4]]);
    expect(parseEventLog(bytes).events[1]?.typeName).toBe('unknown 0x90000001');
  });

  test('bytes.known: an event for a register that is not there is refused', () => {
    const bytes = agileLog('sha256', { ...separator, pcr: 24 });
    expect(parseErrorOf(() => parseEventLog(bytes))).toEqual({
      field: 'TCG_PCR_EVENT2.pcrIndex',
      offset: SPEC_ID_BYTES,
      rule: 'bytes.known',
    });
    const four = agileLog('sha384', { ...separator, pcr: 4, digests: digests('sha384', new Uint8Array(48)) });
    const five = agileLog('sha384', { ...separator, pcr: 5, digests: digests('sha384', new Uint8Array(48)) });
    expect(parseEventLog(four, { registers: 'tdx' }).events).toHaveLength(2);
    expect(() => parseEventLog(five, { registers: 'tdx' })).toThrow(/0 to 4/);
  });

  test('limits of bytes and of events', () => {
    const log = agileLog('sha256', separator, separator, separator);
    expect(parseEventLog(log, { maxBytes: log.length, maxEvents: 4 }).events).toHaveLength(4);
    expect(() => parseEventLog(log, { maxBytes: log.length - 1 })).toThrow(/limit/);
    expect(() => parseEventLog(log, { maxEvents: 3, tolerateTruncation: true })).toThrow(/more than 3/);
  });
});

describe('a log that is cut', () => {
  test('is refused by default, and shown up to there on request', () => {
    const bytes = logBytes('ev-truncated');
    expect(() => parseEventLog(bytes)).toThrow(/left/);
    const log = parseEventLog(bytes, { tolerateTruncation: true });
    expect(log.events).toHaveLength(24);
    expect(log.warnings).toMatchObject([{ code: 'truncated', offset: log.sizeBytes }]);
  });

  test('damage is not a cut', () => {
    const event = agileEvent({ ...separator, digests: [[TPM_ALG.SHA1, D20]] });
    const bytes = concat(agileLog('sha256', separator), event);
    expect(() => parseEventLog(bytes, { tolerateTruncation: true })).toThrow(/not a bank/);
  });
});
