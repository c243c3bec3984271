import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { renderEventLog } from '../../../cli/inspect/render-event-log.ts';
import { toHex } from '../../../core/bytes/encoding.ts';
import { ParseError } from '../../../core/errors.ts';
import { inspectEventLog } from '../../../core/eventlog/index.ts';
import { ascii, index, logBytes, pcrsOf } from '../core/eventlog/vectors.ts';
import { assay } from './policy/harness.ts';

let folder: string;

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
