import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { concat } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';
import { type CelLogOptions, parseCelLog } from '../../../../core/eventlog/cel.ts';
import { recordContent } from '../../../../core/eventlog/cel-content.ts';
import { eventContent } from '../../../../core/eventlog/content/content.ts';
import type { EventContent } from '../../../../core/eventlog/content/types.ts';
import type { LogEvent } from '../../../../core/eventlog/event.ts';
import { EV } from '../../../../core/eventlog/event-type.ts';
import { explainPcrs } from '../../../../core/eventlog/explain.ts';
import { parseEventLog } from '../../../../core/eventlog/parse.ts';
import { replayEventLog, replayLogs } from '../../../../core/eventlog/replay.ts';
import { logBytes, parseErrorOf, pcrsOf } from './vectors.ts';

// A record that systemd wrote in a virtual machine.
const SEPARATOR =
  '{"pcr":7,"digests":[{"hashAlg":"sha256","digest":"ff5b9d73dad709633ae76adf444012b57e913a12ed7403c3931145862f35f841"}],"content_type":"systemd","content":{"string":"os-separator","bootId":"189c18dd7ba245f38cf49d9ac154b525","timestamp":1515761,"eventType":"os-separator"}}';

const utf8 = (text: string) => new Uint8Array(Buffer.from(text));
const sha256 = (bytes: Uint8Array) => new Uint8Array(hash('sha256', bytes, 'buffer'));
const extended = (value: Uint8Array, ...texts: readonly string[]) =>
  texts.reduce((pcr, text) => sha256(concat(pcr, sha256(utf8(text)))), value);
const log = (...lines: readonly string[]) => utf8(lines.map((line) => `\x1e${line}\n`).join(''));

interface Parts {
  readonly pcr?: number;
  readonly measured?: string;
  readonly eventType?: string;
}

function systemd(text: string, { pcr = 11, measured = text, eventType = 'phase' }: Parts = {}): string {
  return JSON.stringify({
    pcr,
    digests: [{ hashAlg: 'sha256', digest: toHex(sha256(utf8(measured))) }],
    content_type: 'systemd',
    content: { string: text, bootId: '00', timestamp: 1, eventType },
  });
}

const changed = (change: object): Uint8Array => log(JSON.stringify({ ...JSON.parse(SEPARATOR), ...change }));
const only = (bytes: Uint8Array, options?: CelLogOptions) => {
  const [record] = parseCelLog(bytes, options).records;
  if (record === undefined) throw new Error('no record');
  return record;
};

describe('the forms of a canonical log', () => {
  test.each([
    ['RFC 7464', log(SEPARATOR, SEPARATOR)],
    ['lines', utf8(`${SEPARATOR}\n\n${SEPARATOR}\n`)],
    ['lines without a last feed', utf8(`${SEPARATOR}\r\n${SEPARATOR}`)],
    ['an array', utf8(` [${SEPARATOR},\n${SEPARATOR}] `)],
  ])('%s', (_, bytes) => {
    const { records, warnings, banks } = parseCelLog(bytes);
    expect(records.map(({ index, pcr, contentType }) => [index, pcr, contentType])).toEqual([
      [0, 7, 'systemd'],
      [1, 7, 'systemd'],
    ]);
    expect(banks.map(({ hash }) => hash)).toEqual(['sha256']);
    expect(warnings).toEqual([]);
  });

  test('a record knows where it stands', () => {
    const { records } = parseCelLog(log(SEPARATOR, SEPARATOR));
    expect(records.map(({ offset }) => offset)).toEqual([1, SEPARATOR.length + 3]);
  });

  test('a log without records is one', () => {
    for (const text of ['', '\n', '[]', '\x1e\n']) expect(parseCelLog(utf8(text)).records).toEqual([]);
  });

  test('a last record that is cut is refused, or left out with a warning', () => {
    const bytes = log(SEPARATOR, SEPARATOR).subarray(0, -9);
    expect(parseErrorOf(() => parseCelLog(bytes)).offset).toBe(SEPARATOR.length + 3);
    const { records, warnings } = parseCelLog(bytes, { tolerateTruncation: true });
    expect(records).toHaveLength(1);
    expect(warnings).toMatchObject([{ code: 'truncated', offset: SEPARATOR.length + 3 }]);
    const inner = concat(utf8('{\n'), log(SEPARATOR));
    expect(() => parseCelLog(inner, { tolerateTruncation: true })).toThrow(ParseError);
  });

  test('numbers of records that go back are told', () => {
    const number = (recnum: number) => JSON.stringify({ ...JSON.parse(SEPARATOR), recnum });
    const codes = (...numbers: readonly number[]) =>
      parseCelLog(log(...numbers.map(number))).warnings.map(({ code }) => code);
    expect(codes(0, 1, 5)).toEqual([]);
    expect(codes(0, 1, 1)).toEqual(['record-number']);
  });

  test('an NV index is no register', () => {
    const record = only(changed({ pcr: undefined, nv_index: 0x1d10200 }));
    expect(record).toMatchObject({ pcr: undefined, nvIndex: 0x1d10200 });
  });
});

describe('bytes.known: what is refused', () => {
  const digest = JSON.parse(SEPARATOR).digests[0];

  test.each([
    ['not JSON', utf8('{'), 'record'],
    ['not UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'record'],
    ['not an object', utf8('7'), 'record'],
    ['an array in a line', log('[]'), 'record'],
    ['text behind an array', utf8('[] x'), 'record'],
    ['no register', changed({ pcr: undefined }), 'record'],
    ['two registers', changed({ nv_index: 7 }), 'record'],
    ['a register of a TD', changed({ pcr: undefined, rtmr: 1 }), 'record'],
    ['a PCR of 24', changed({ pcr: 24 }), 'record.pcr'],
    ['a PCR that is a text', changed({ pcr: '7' }), 'record.pcr'],
    ['a PCR that is negative', changed({ pcr: -1 }), 'record.pcr'],
    ['a number that is a fraction', changed({ recnum: 0.5 }), 'record.recnum'],
    ['no digests', changed({ digests: undefined }), 'record.digests'],
    ['many digests', changed({ digests: Array(9).fill(digest) }), 'record.digests'],
    ['a digest without algorithm', changed({ digests: [{ digest: '' }] }), 'record.digests'],
    ['an unknown algorithm', changed({ digests: [{ ...digest, hashAlg: 'md5' }] }), 'digests.hashAlg'],
    ['an algorithm twice', changed({ digests: [digest, digest] }), 'digests.hashAlg'],
    ['a digest of another size', changed({ digests: [{ ...digest, hashAlg: 'sha384' }] }), 'digests.digest'],
    [
      'a digest that is not hexadecimal',
      changed({ digests: [{ ...digest, digest: 'x'.repeat(64) }] }),
      'digests.digest',
    ],
    ['no content type', changed({ content_type: undefined }), 'record.content_type'],
    ['no content', changed({ content: undefined }), 'content'],
    ['a text that is a number', changed({ content: { string: 7 } }), 'content.string'],
    [
      'an event type that has no number',
      changed({ content_type: 'pcclient_std', content: { event_type: 'EV_X', event_data: '' } }),
      'content.event_type',
    ],
    [
      'an event without data',
      changed({ content_type: 'pcclient_std', content: { event_type: 'EV_IPL' } }),
      'content.event_data',
    ],
    [
      'an entry of IMA without a template',
      changed({ content_type: 'ima_template', content: { template_data: '' } }),
      'content.template_name',
    ],
  ])('%s', (_, bytes, field) => {
    const error = parseErrorOf(() => parseCelLog(bytes));
    expect(error.field).toBe(field);
    expect(error.offset).toBeLessThanOrEqual(1);
  });

  test('limits of bytes and records', () => {
    const bytes = log(SEPARATOR, SEPARATOR);
    expect(parseCelLog(bytes, { maxBytes: bytes.length, maxRecords: 2 }).records).toHaveLength(2);
    expect(() => parseCelLog(bytes, { maxBytes: bytes.length - 1 })).toThrow(/limit/);
    expect(() => parseCelLog(bytes, { maxRecords: 1, tolerateTruncation: true })).toThrow(/more than 1/);
    expect(() => parseCelLog(utf8(`[${SEPARATOR},${SEPARATOR}]`), { maxRecords: 1 })).toThrow(/more than 1/);
  });

  test('deep JSON is read or refused, never anything else', () => {
    const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    expect(() => parseCelLog(utf8(deep(1_000_000)))).toThrow(ParseError);
    expect(() => parseCelLog(utf8('['.repeat(1_000_000)))).toThrow(ParseError);
    const bytes = utf8(SEPARATOR.replace('"content":{', `"content":{"x":${deep(100_000)},`));
    expect(recordContent(only(bytes), 'sha256').verified).toBe(true);
  });

  test('changed bytes are refused or read, never anything else', () => {
    const bytes = log(SEPARATOR, systemd('enter-initrd'), systemd('x', { eventType: 'volume-key' }));
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }));
    fc.assert(
      fc.property(change, fc.boolean(), ([at, by], tolerateTruncation) => {
        const copy = Uint8Array.from(bytes);
        copy[at] = by;
        try {
          const parsed = parseCelLog(copy, { tolerateTruncation });
          replayLogs(undefined, parsed);
          for (const record of parsed.records) recordContent(record, 'sha256');
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError);
          expect((error as ParseError).offset).toBeLessThan(copy.length);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('log.payload: what a record proves', () => {
  test('of systemd the text, and not what it is about', () => {
    expect(recordContent(only(log(SEPARATOR)), 'sha256')).toEqual({
      kind: 'text',
      verified: true,
      covers: 'text',
      proven: { text: 'os-separator' },
      unverified: { label: 'os-separator', encoding: 'utf-8' },
    });
    const faked = recordContent(only(log(systemd('leave-initrd', { measured: 'x' }))), 'sha256');
    expect(faked).toMatchObject({ verified: false, why: 'mismatch', unverified: { text: 'leave-initrd' } });
    expect(recordContent(only(log(SEPARATOR)), 'sha384')).toMatchObject({
      verified: false,
      why: 'no-digest',
    });
  });

  test('of a volume key nothing: its digest is keyed', () => {
    const key = systemd('cryptsetup:root:', { measured: 'x', eventType: 'volume-key', pcr: 15 });
    expect(recordContent(only(log(key)), 'sha256')).toMatchObject({ verified: false, why: 'external' });
  });

  test('a text is that of the bytes that were measured', () => {
    const lone = log(systemd('x', { measured: '\ufffd' }).replace('"x"', '"\\ud800"'));
    expect(recordContent(only(lone), 'sha256')).toMatchObject({ proven: { text: '\ufffd' } });
    const nul = recordContent(only(log(systemd('ready\0'))), 'sha256');
    expect(nul).toMatchObject({ proven: { text: 'ready\0' } });
  });

  const firmware = (type: string | number, data: string) =>
    changed({ content_type: 'pcclient_std', content: { event_type: type, event_data: data } });

  test('an event of the firmware is judged as in its own log', () => {
    const zeros = toHex(sha256(new Uint8Array(4)));
    const separator = changed({
      digests: [{ hashAlg: 'sha256', digest: zeros }],
      content_type: 'pcclient_std',
      content: { event_type: 'EV_SEPARATOR', event_data: '00000000' },
    });
    expect(recordContent(only(separator), 'sha256')).toMatchObject({ kind: 'separator', verified: true });
    expect(recordContent(only(firmware(EV.SEPARATOR, '00000000')), 'sha256')).toMatchObject({
      kind: 'separator',
      verified: false,
      why: 'mismatch',
    });
  });

  test('an entry of IMA, and a record that is unknown', () => {
    const content = { template_name: 'ima-ng', template_data: toHex(utf8('os-separator')) };
    expect(recordContent(only(changed({ content_type: 'ima_template', content })), 'sha256')).toMatchObject({
      kind: 'bytes',
      verified: true,
      proven: { data: utf8('os-separator') },
    });
    const other = changed({ content_type: 'cel', content: { type: 'cel_version' } });
    expect(recordContent(only(other), 'sha256')).toMatchObject({
      kind: 'bytes',
      verified: false,
      why: 'external',
    });
  });
});

describe('log.final: replay of userspace behind the firmware', () => {
  const firmware = parseEventLog(logBytes('uki-clean'));
  const before = pcrsOf('uki-clean').get('sha256');
  const pcr11 = before?.get(11) ?? new Uint8Array();
  const zero = new Uint8Array(32);
  const userspace = parseCelLog(
    log(systemd('enter-initrd'), systemd('leave-initrd'), systemd('machine-id:1', { pcr: 15 })),
  );
  const replayed = replayLogs(firmware, userspace);
  const explain = (pcr: number, value: Uint8Array) =>
    explainPcrs(replayed, 'sha256', new Map([[pcr, value]]))[0];

  test('goes on from the values that the firmware left', () => {
    const found = explain(11, extended(pcr11, 'enter-initrd', 'leave-initrd'));
    expect(found).toMatchObject({ status: 'replays', surplus: [] });
    expect(found?.events.map(({ source }) => source).slice(-3)).toEqual([
      'firmware',
      'userspace',
      'userspace',
    ]);
    expect(explain(15, extended(zero, 'machine-id:1'))?.status).toBe('replays');
    expect(explain(4, before?.get(4) ?? zero)?.status).toBe('replays');
  });

  test('what userspace measured after the quote waits', () => {
    const found = explain(11, extended(pcr11, 'enter-initrd'));
    expect(found).toMatchObject({ status: 'replays', reason: undefined, surplus: [{ index: 1 }] });
    expect(explain(11, pcr11)).toMatchObject({ status: 'replays', surplus: [{ index: 0 }, { index: 1 }] });
    expect(explain(15, zero)).toMatchObject({ status: 'literal', events: [], surplus: [{ index: 2 }] });
  });

  test('what is left out, or comes in another order, is not explained', () => {
    expect(explain(11, extended(pcr11, 'leave-initrd'))).toMatchObject({ reason: 'mismatch' });
    expect(explain(11, extended(pcr11, 'enter-initrd', 'leave-initrd', 'x'))).toMatchObject({
      reason: 'mismatch',
    });
  });

  test('a cut of the firmware’s own events stays unexplained', () => {
    const after10 = explainPcrs(replayed, 'sha256', new Map([[11, zero]]))[0];
    expect(after10).toMatchObject({ status: 'unexplained', reason: 'surplus', events: [] });
  });

  test('banks are those of the firmware', () => {
    const other = log(
      JSON.stringify({
        ...JSON.parse(SEPARATOR),
        digests: [{ hashAlg: 'sha384', digest: '00'.repeat(48) }],
      }),
    );
    expect(replayLogs(firmware, parseCelLog(other)).input.banks).toEqual(['sha1', 'sha256']);
    expect(replayLogs(undefined, parseCelLog(other)).input.banks).toEqual(['sha384']);
  });

  test('a record for an NV index, without digests, or of EV_NO_ACTION extends nothing', () => {
    const noAction = {
      content_type: 'pcclient_std',
      content: { event_type: 'EV_NO_ACTION', event_data: '' },
    };
    for (const change of [{ pcr: undefined, nv_index: 1 }, { digests: [] }, noAction]) {
      expect(replayLogs(firmware, parseCelLog(changed(change))).values).toEqual(
        replayEventLog(firmware).values,
      );
    }
  });

  test('a log of a TD goes on one of a TD', () => {
    const rtmr = changed({
      pcr: undefined,
      rtmr: 2,
      digests: [{ hashAlg: 'sha384', digest: '01'.repeat(48) }],
    });
    const cel = parseCelLog(rtmr, { registers: 'tdx' });
    expect(cel.records[0]?.pcr).toBe(3);
    expect(replayLogs(undefined, cel).values.get('sha384')?.get(3)).not.toEqual(new Uint8Array(48));
    expect(() => replayLogs(firmware, cel)).toThrow(RangeError);
    expect(() => parseCelLog(changed({ pcr: undefined, rtmr: 4 }), { registers: 'tdx' })).toThrow(/0 to 3/);
  });
});

describe('the log of a real boot in canonical form', () => {
  const record = (event: LogEvent) => ({
    recnum: event.index,
    pcr: event.pcr,
    digests: event.digests.map(({ bank, digest }) => ({ hashAlg: bank.hash, digest: toHex(digest) })),
    content_type: 'pcclient_std',
    content: { event_type: event.typeName, event_data: toHex(event.data) },
  });

  test.each(['sb-clean-1', 'uki-clean', 'bios-seabios', 'ev-startup-locality-injected'])(
    'log.replay: %s leads to the same values, and proves the same',
    (name) => {
      const own = parseEventLog(logBytes(name));
      const cel = parseCelLog(utf8(JSON.stringify(own.events.map(record))));
      expect(replayLogs(undefined, cel).values).toEqual(replayEventLog(own).values);
      const rules = (content: EventContent) => [content.kind, content.verified, content.covers];
      expect(cel.records.map((copy) => rules(recordContent(copy, 'sha256')))).toEqual(
        own.events.map((event) => rules(eventContent(event, 'sha256'))),
      );
    },
  );
});
