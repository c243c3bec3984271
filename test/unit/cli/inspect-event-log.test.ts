import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { renderEventLog } from '../../../cli/inspect/render-event-log.ts';
import { toHex } from '../../../core/bytes/encoding.ts';
import { concat, Writer } from '../../../core/bytes/writer.ts';
import { ParseError } from '../../../core/errors.ts';
import { EV, inspectEventLog } from '../../../core/eventlog/index.ts';
import { agileLog, ascii, digests, index, logBytes, pcrsOf } from '../core/eventlog/vectors.ts';
import { assay } from './policy/harness.ts';

let folder: string;

const sized = (data: Uint8Array) => new Writer().u32le(data.length).raw(data).bytes();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inspect-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('assay inspect eventlog', () => {
  test.each(Object.keys(index.boots))('%s: leads to the values that the machine had', (name) => {
    const { replayed, events, warnings } = inspectEventLog(logBytes(name));
    expect(events).toHaveLength(index.boots[name]?.events ?? 0);
    expect(warnings).toEqual([]);
    for (const [bank, values] of pcrsOf(name)) {
      for (const pcr of index.boots[name]?.pcrsWithEvents ?? []) {
        expect(replayed[bank]?.[`PCR ${pcr}`], `${bank} ${pcr}`).toBe(
          toHex(values.get(pcr) ?? new Uint8Array()),
        );
      }
    }
  });

  test('says of each event what its digest proves', () => {
    const { events } = inspectEventLog(logBytes('sb-clean-1'));
    expect(events[4]).toMatchObject({
      ...{ number: 4, register: 'PCR 7', type: 'EV_EFI_VARIABLE_DRIVER_CONFIG' },
      ...{ says: 'SecureBoot = true', proven: true, covers: 'data', why: null },
    });
    expect(events[24]).toMatchObject({
      register: 'PCR 4',
      proven: false,
      covers: 'external',
      why: 'external',
    });
    const faked = inspectEventLog(logBytes('ev-grub-cmdline-text-faked')).events[44];
    expect(faked).toMatchObject({ register: 'PCR 8', proven: false, why: 'mismatch' });
  });

  test('a log that is cut is shown as far as it goes', () => {
    const { events, warnings } = inspectEventLog(logBytes('ev-truncated'));
    expect(events.length).toBeGreaterThan(10);
    expect(warnings).toMatchObject([{ code: 'truncated', offset: expect.any(Number) }]);
  });

  test('a userspace log is told by its content', () => {
    const record = {
      ...{ pcr: 11, digests: [{ hashAlg: 'sha256', digest: '00'.repeat(32) }], content_type: 'systemd' },
      content: { string: 'enter-initrd\u001b[31m', eventType: 'phase' },
    };
    const log = inspectEventLog(ascii(`\x1e${JSON.stringify(record)}\n`));
    expect(log).toMatchObject({ format: 'canonical', events: [{ register: 'PCR 11', why: 'mismatch' }] });
    expect(renderEventLog(log)).not.toContain('\u001b[31m');
  });

  test('canonical records of any place and kind, each proven in a bank that it has', () => {
    const record = (
      place: object,
      content_type: string,
      content: object,
      measured: Uint8Array,
      hashAlg = 'sha256',
    ) => ({
      ...place,
      digests: [{ hashAlg, digest: createHash(hashAlg).update(measured).digest('hex') }],
      ...{ content_type, content },
    });
    const template = concat(
      sized(concat(ascii('sha1:\0'), new Uint8Array(20).fill(0x11))),
      sized(ascii('/usr/bin/a\0')),
    );
    const zeros = new Uint8Array(4);
    const records = [
      record({ pcr: 4 }, 'pcclient_std', { event_type: 'EV_SEPARATOR', event_data: '00000000' }, zeros),
      record(
        { pcr: 10 },
        'ima_template',
        { template_name: 'ima-ng', template_data: toHex(template) },
        template,
        'sha1',
      ),
      record(
        { nv_index: 0x1d10200 },
        'systemd',
        { nvIndexName: 'verity', string: 'x', eventType: 'dm-verity' },
        ascii('x'),
      ),
    ];
    const { events } = inspectEventLog(ascii(JSON.stringify(records)));
    expect(events.map(({ register, type, proven }) => [register, type, proven])).toEqual([
      ['PCR 4', 'EV_SEPARATOR', true],
      ['PCR 10', 'ima_template ima-ng', true],
      ['NV 0x1d10200', 'systemd', true],
    ]);
    expect(events[1]?.says).toBe(`sha1:${'11'.repeat(20)} /usr/bin/a`);
    const rtmr = record(
      { recnum: 0, rtmr: 2, mapped_pcr: 11 },
      'systemd',
      { string: 'x', eventType: 'phase' },
      ascii('x'),
      'sha384',
    );
    const td = inspectEventLog(ascii(`\x1e${JSON.stringify(rtmr)}\n`));
    expect(td.events).toMatchObject([{ register: 'RTMR[2]', says: 'phase: x', proven: true }]);
    expect(Object.keys(td.replayed.sha384 ?? {})).toEqual(['RTMR[2]']);
  });

  test('exit codes: 0 for a log, 2 with the place for what is none, in words and in JSON', async () => {
    const file = join(folder, 'log');
    writeFileSync(file, logBytes('sb-clean-1'));
    const good = await assay(['inspect', 'eventlog', file]);
    expect(good.code).toBe(0);
    expect(good.out).toMatch(/^format +crypto-agile$/m);
    expect(good.out).toContain('SbatLevel = sbat 1, shim 4, grub 5');
    writeFileSync(file, logBytes('ev-bad-specid'));
    const bad = await assay(['inspect', 'eventlog', file]);
    expect(bad).toMatchObject({ code: 2, err: expect.stringContaining(`${file} is no event log`) });
    expect((await assay(['inspect', 'eventlog', join(folder, 'nothing')])).code).toBe(2);
  });

  test('a log that is cut is shown, with exit code 2', async () => {
    const file = join(folder, 'log');
    writeFileSync(file, logBytes('ev-truncated'));
    const cut = await assay(['inspect', 'eventlog', file]);
    expect(cut.code).toBe(2);
    expect(cut.out).toMatch(/^warning at byte \d+: truncated: the last event is cut/m);
  });

  test('base64 and hex of a log, as Keylime sends it, are read', async () => {
    const file = join(folder, 'log');
    const plain = inspectEventLog(logBytes('sb-clean-1'));
    for (const form of ['base64', 'hex'] as const) {
      writeFileSync(
        file,
        Buffer.from(logBytes('sb-clean-1'))
          .toString(form)
          .replace(/(.{76})/g, '$1\n'),
      );
      const shown = await assay(['inspect', 'eventlog', file, '--json']);
      expect(JSON.parse(shown.out)).toEqual(plain);
    }
  });

  test('shows digests where that is asked for', async () => {
    const file = join(folder, 'log');
    writeFileSync(file, logBytes('sb-clean-1'));
    expect((await assay(['inspect', 'eventlog', file])).out).not.toContain('sha256:');
    const { out } = await assay(['inspect', 'eventlog', file, '--digests']);
    expect(out).toMatch(/SecureBoot = true/);
    expect(out).toMatch(/ 4 +PCR 7 +EV_EFI_VARIABLE_DRIVER_CONFIG +sha1:[0-9a-f]{40} sha256:[0-9a-f]{64} /);
  });

  test.each([
    ['sm3-256', 0x12, 'sm3', 32],
    ['sha3-384', 0x28, 'sha3-384', 48],
  ])('a bank of %s is named and replayed', (name, alg, node, size) => {
    const digest = new Uint8Array(size).fill(7);
    const algorithm = new Writer().u16le(alg).u16le(size).bytes();
    const spec = concat(
      ascii('Spec ID Event03\0'),
      new Uint8Array(8),
      new Writer().u32le(1).raw(algorithm).u8(0).bytes(),
    );
    const first = concat(
      new Writer().u32le(0).u32le(EV.NO_ACTION).raw(new Uint8Array(20)).bytes(),
      sized(spec),
    );
    const event = (pcr: number, type: number, data: Uint8Array = new Uint8Array()) =>
      concat(new Writer().u32le(pcr).u32le(type).u32le(1).u16le(alg).raw(digest).bytes(), sized(data));
    const locality = concat(ascii('StartupLocality\0'), Uint8Array.of(3));
    const log = concat(first, event(0, EV.NO_ACTION, locality), event(0, EV.ACTION), event(0, EV.ACTION));
    const found = inspectEventLog(log);
    expect(found.banks).toEqual([name]);
    expect(found.events[2]?.digests).toEqual({ [name]: toHex(digest) });
    const extend = (value: Uint8Array): Uint8Array => createHash(node).update(value).update(digest).digest();
    const start = new Uint8Array(size);
    start[size - 1] = 3;
    expect(found.replayed).toEqual({ [name]: { 'PCR 0': toHex(extend(extend(start))) } });
  });

  test('registers of a TD are told by where SecureBoot is, or by whom asks', async () => {
    const secureBoot = (pcr: number) => ({
      ...{ pcr, type: EV.EFI_VARIABLE_DRIVER_CONFIG, data: ascii('x') },
      digests: digests('sha384', new Uint8Array(48)),
    });
    const registers = (log: Uint8Array, kind?: 'pcr' | 'tdx') =>
      inspectEventLog(log, kind).events.map(({ register }) => register);
    const td = agileLog('sha384', secureBoot(1), secureBoot(4));
    expect(registers(td)).toEqual(['MRTD', 'RTMR[0]', 'RTMR[3]']);
    expect(Object.keys(inspectEventLog(td).replayed.sha384 ?? {})).toEqual(['RTMR[0]', 'RTMR[3]']);
    expect(registers(td, 'pcr')).toEqual(['PCR 0', 'PCR 1', 'PCR 4']);
    expect(registers(agileLog('sha384', secureBoot(7), secureBoot(1)))).toEqual(['PCR 0', 'PCR 7', 'PCR 1']);
    // A TD has no such register.
    expect(registers(agileLog('sha384', secureBoot(1), secureBoot(7)))).toEqual(['PCR 0', 'PCR 1', 'PCR 7']);
    const file = join(folder, 'log');
    writeFileSync(file, agileLog('sha384', secureBoot(2)));
    expect((await assay(['inspect', 'eventlog', file])).out).toContain('PCR 2');
    expect((await assay(['inspect', 'eventlog', file, '--registers', 'tdx'])).out).toContain('RTMR[1]');
  });

  test('whatever the bytes are, it shows a log or says why not', () => {
    const real = logBytes('sb-clean-1');
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 300 }),
      fc.nat(real.length).map((end) => real.subarray(0, end)),
      fc.tuple(fc.nat(real.length - 1), fc.nat(255)).map(([at, octet]) => real.with(at, octet)),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        try {
          renderEventLog(inspectEventLog(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(ParseError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
