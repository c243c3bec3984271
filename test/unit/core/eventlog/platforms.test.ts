import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { concat, Writer } from '../../../../core/bytes/writer.ts';
import { eventContent } from '../../../../core/eventlog/content/content.ts';
import { parseTaggedEvents } from '../../../../core/eventlog/content/tagged.ts';
import { windowsEvents } from '../../../../core/eventlog/content/windows.ts';
import { EV } from '../../../../core/eventlog/event-type.ts';
import { explainPcrs } from '../../../../core/eventlog/explain.ts';
import { parseEventLog } from '../../../../core/eventlog/parse.ts';
import { registerName, tdxRegisterOf } from '../../../../core/eventlog/registers.ts';
import { replayEventLog } from '../../../../core/eventlog/replay.ts';
import { agileLog, ascii, digests, type EventParts, parseErrorOf, utf16 } from './vectors.ts';

const tag = (id: number, data: Uint8Array) => new Writer().u32le(id).u32le(data.length).raw(data).bytes();
const sha256 = (bytes: Uint8Array) => hash('sha256', bytes, 'buffer');
const sha384 = (bytes: Uint8Array) => hash('sha384', bytes, 'buffer');

describe('Windows (WBCL)', () => {
  // As Windows' loader writes them: a trust boundary that holds what was measured, and its own separator.
  const boundary = tag(
    0x40010001,
    concat(
      tag(0x00050002, Uint8Array.of(1)),
      tag(
        0x40010003,
        concat(tag(0x00070001, utf16('\\Windows\\x.sys\0')), tag(0x00070004, new Uint8Array(32))),
      ),
      tag(0x0005ffff, new Uint8Array()),
    ),
  );
  const measured = (pcr: number, type: number, data: Uint8Array): EventParts => ({
    pcr,
    type,
    data,
    digests: digests('sha256', sha256(data)),
  });
  const log = agileLog(
    'sha256',
    measured(13, EV.EVENT_TAG, boundary),
    measured(12, EV.SEPARATOR, ascii('WBCL')),
    { pcr: 0xffffffff, type: EV.NO_ACTION, data: tag(0xc0010004, new Uint8Array()) },
  );

  test('parses and replays', () => {
    const parsed = parseEventLog(log);
    expect(parsed.warnings).toEqual([]);
    const replayed = replayEventLog(parsed).values.get('sha256');
    expect(replayed?.get(13)).toEqual(new Uint8Array(sha256(concat(new Uint8Array(32), sha256(boundary)))));
  });

  test('events hold events', () => {
    const [, event] = parseEventLog(log).events;
    const content = event && eventContent(event, 'sha256');
    if (content?.kind !== 'tags' || !content.verified) throw new Error('not proven');
    const [found] = windowsEvents(content.proven);
    expect(found?.name).toBe('TRUSTBOUNDARY');
    expect(found?.children.map(({ name }) => name)).toEqual([
      'CODEINTEGRITY',
      'LOADEDMODULE_AGGREGATION',
      'unknown 0x5ffff',
    ]);
    expect(found?.children[1]?.children.map(({ name }) => name)).toEqual(['FILEPATH', 'AUTHENTICODEHASH']);
  });

  test('bytes.bounds: events that are too deep, or not whole, are refused', () => {
    const nested = (depth: number) => {
      let bytes = tag(0x00050002, Uint8Array.of(1));
      for (let i = 1; i < depth; i++) bytes = tag(0x40010001, bytes);
      return () => windowsEvents(parseTaggedEvents(bytes));
    };
    expect(nested(8)).not.toThrow();
    expect(nested(9)).toThrow(/deep/);
    const cut = parseTaggedEvents(tag(0x40010001, Uint8Array.of(1, 2, 3)), 50);
    expect(parseErrorOf(() => windowsEvents(cut)).offset).toBe(58);
  });
});

describe('an Intel TD (CCEL)', () => {
  const D = new Uint8Array(48).fill(1);
  const extend = (pcr: number, type: number = EV.EFI_ACTION): EventParts => ({
    pcr,
    type,
    digests: digests('sha384', D),
  });
  const table = concat(
    agileLog('sha384', extend(1, EV.PLATFORM_CONFIG_FLAGS), extend(2), extend(2), extend(3)),
    new Uint8Array(4096).fill(0xff),
  );
  const zero = new Uint8Array(48);
  const once = new Uint8Array(sha384(concat(zero, D)));
  const replayed = replayEventLog(parseEventLog(table, { registers: 'tdx' }));

  test('registers are replayed from zero, and the table may be filled up', () => {
    const values = replayed.values.get('sha384');
    expect([...(values?.keys() ?? [])]).toEqual([1, 2, 3, 4]);
    expect(values?.get(1)).toEqual(once);
    expect(values?.get(2)).toEqual(new Uint8Array(sha384(concat(once, D))));
    expect(values?.get(4)).toEqual(zero);
  });

  test('MRTD is not extended: it stands for itself', () => {
    const given = new Map([0, 1, 4].map((register) => [register, register === 1 ? once : D] as const));
    const found = explainPcrs(replayed, 'sha384', given);
    expect(found.map(({ status, reason }) => [status, reason])).toEqual([
      ['literal', undefined],
      ['replays', undefined],
      ['unexplained', 'no-events'],
    ]);
  });

  test('its registers stand for those of a TPM', () => {
    expect([0, 1, 2, 6, 7, 8, 15, 16].map(tdxRegisterOf)).toEqual([0, 1, 2, 2, 1, 3, 3, undefined]);
    expect(registerName('tdx', 0)).toBe('MRTD');
    expect(registerName('tdx', 4)).toBe('RTMR[3]');
    expect(registerName('pcr', 4)).toBe('PCR 4');
  });
});
