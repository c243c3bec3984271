import { hash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { toHex } from '../../../../core/bytes/encoding.ts';
import { concat } from '../../../../core/bytes/writer.ts';
import { EV } from '../../../../core/eventlog/event-type.ts';
import { explainPcrs } from '../../../../core/eventlog/explain.ts';
import { parseEventLog } from '../../../../core/eventlog/parse.ts';
import { replayEventLog } from '../../../../core/eventlog/replay.ts';
import { startupLocality } from '../../../../core/eventlog/startup.ts';
import type { HashName } from '../../../../core/tpm/constants.ts';
import {
  agileEvent,
  agileLog,
  ascii,
  digests,
  type EventParts,
  index,
  logBytes,
  pcrsOf,
  specId,
} from './vectors.ts';

const D = new Uint8Array(32).fill(7);
const sha256 = (...parts: readonly Uint8Array[]) => hash('sha256', concat(...parts), 'buffer');
const extend = (pcr: number, digest = D, type: number = EV.ACTION): EventParts => ({
  pcr,
  type,
  digests: digests('sha256', digest),
});
const locality = (value: number, pcr = 0): EventParts => ({
  pcr,
  type: EV.NO_ACTION,
  data: concat(ascii('StartupLocality\0'), Uint8Array.of(value)),
  digests: digests('sha256', new Uint8Array(32)),
});
const startOf = (last: number) => concat(new Uint8Array(31), Uint8Array.of(last));

function pcr(bytes: Uint8Array, number: number, bank: HashName = 'sha256'): string {
  return toHex(replayEventLog(parseEventLog(bytes)).values.get(bank)?.get(number) ?? new Uint8Array());
}

function statuses(name: string, base: string, bank: HashName): Readonly<Record<string, readonly number[]>> {
  const replayed = replayEventLog(parseEventLog(logBytes(name)));
  const out: Record<string, number[]> = {};
  for (const { pcr, status, reason } of explainPcrs(replayed, bank, pcrsOf(base).get(bank) ?? new Map())) {
    const key = reason ?? status;
    out[key] = [...(out[key] ?? []), pcr];
  }
  return out;
}

describe('the log of a real boot', () => {
  const cases = Object.entries(index.boots).flatMap(([name, boot]) =>
    boot.banks.map((bank) => ({ name, bank })),
  );

  test.each(cases)('log.replay: $name leads to the values of bank $bank', ({ name, bank }) => {
    const { pcrsWithEvents = [] } = index.boots[name] ?? {};
    const found = statuses(name, name, bank);
    expect(found.replays).toEqual(pcrsWithEvents);
    // PCR 10 is extended by IMA; the log of the firmware knows nothing of it.
    expect(found['no-events']).toEqual([10]);
    expect(Object.keys(found).sort()).toEqual(['literal', 'no-events', 'replays']);
  });

  test('log.replay: each PCR is explained by its events', () => {
    const replayed = replayEventLog(parseEventLog(logBytes('uki-clean')));
    const [found] = explainPcrs(replayed, 'sha256', pcrsOf('uki-clean').get('sha256') ?? new Map());
    expect(found).toMatchObject({ pcr: 0, status: 'replays', surplus: [] });
    expect(found?.events.map((event) => event.index)).toEqual([1, 2, 3, 15]);
  });

  const changed = Object.entries(index.doctored).flatMap(([name, { base, mismatch, what }]) =>
    Object.entries(mismatch ?? {}).map(([bank, pcrs]) => ({
      name,
      base,
      what,
      bank: bank as HashName,
      pcrs,
    })),
  );

  test.each(changed)('log.replay: $name, bank $bank: $what', ({ name, base, bank, pcrs }) => {
    const found = statuses(name, base, bank);
    expect([...(found.mismatch ?? []), ...(found.surplus ?? [])]).toEqual(pcrs);
  });

  test('a log of another boot leaves the PCRs that differ unexplained', () => {
    expect(statuses('sb-clean-1', 'direct-clean-1', 'sha256')).toMatchObject({
      mismatch: [0, 1, 4, 5, 7, 9],
      surplus: [8, 14],
    });
  });
});

describe('what a value can be', () => {
  const values = (entries: readonly (readonly [number, Uint8Array])[]) => new Map(entries);
  const explain = (bytes: Uint8Array, number: number, value: Uint8Array, bank: HashName = 'sha256') =>
    explainPcrs(replayEventLog(parseEventLog(bytes)), bank, values([[number, value]]))[0];
  const once = sha256(new Uint8Array(32), D);

  test('reset values stand for themselves', () => {
    const log = agileLog('sha256', extend(1));
    expect(explain(log, 15, new Uint8Array(32))?.status).toBe('literal');
    expect(explain(log, 17, new Uint8Array(32).fill(0xff))?.status).toBe('literal');
    expect(explain(log, 15, once)).toMatchObject({ status: 'unexplained', reason: 'no-events' });
    expect(explain(log, 17, new Uint8Array(32))).toMatchObject({ reason: 'no-events' });
  });

  test('a value before the last events has a surplus, and is not explained', () => {
    const log = agileLog('sha256', extend(1), extend(1), extend(2));
    const found = explain(log, 1, once);
    expect(found).toMatchObject({ status: 'unexplained', reason: 'surplus' });
    expect(found?.events.map(({ index }) => index)).toEqual([1]);
    expect(found?.surplus.map(({ index }) => index)).toEqual([2]);
    expect(explain(log, 1, new Uint8Array(32))).toMatchObject({ reason: 'surplus', events: [] });
  });

  test('a bank that the log does not have explains nothing, not even zeros', () => {
    const log = agileLog('sha256', extend(1));
    expect(explain(log, 15, new Uint8Array(20), 'sha1')).toMatchObject({
      status: 'unexplained',
      reason: 'no-bank',
    });
  });

  test('an event without a digest for the bank breaks its register in this bank only', () => {
    const banks = specId([
      [0x000b, 32],
      [0x0004, 20],
    ]);
    const both = agileEvent({
      ...extend(2),
      digests: [...digests('sha256', D), ...digests('sha1', new Uint8Array(20))],
    });
    const log = concat(banks, agileEvent(extend(1)), both);
    expect(explain(log, 1, new Uint8Array(20).fill(3), 'sha1')).toMatchObject({ reason: 'no-digest' });
    expect(explain(log, 1, once)?.status).toBe('replays');
    expect(pcr(log, 2, 'sha1')).toBe(toHex(hash('sha1', new Uint8Array(40), 'buffer')));
  });

  test('a dynamic launch starts PCR 17 to 22 at zero', () => {
    expect(pcr(agileLog('sha256', extend(17)), 17)).toBe(toHex(once));
  });
});

describe('what PCR 0 starts with', () => {
  const from = (last: number) => toHex(sha256(startOf(last), D));
  const warnings = (bytes: Uint8Array) => parseEventLog(bytes).warnings.map(({ code }) => code);

  test('log.locality: zero without an event', () => {
    expect(pcr(agileLog('sha256', extend(0)), 0)).toBe(from(0));
  });

  test.each([0, 3, 4])('log.locality: TPM2_Startup from locality %i', (value) => {
    const log = agileLog('sha256', locality(value), extend(0), extend(1));
    expect(pcr(log, 0)).toBe(from(value));
    expect(pcr(log, 1)).toBe(from(0));
    expect(warnings(log)).toEqual([]);
    expect(startupLocality(parseEventLog(log).events)).toEqual({ locality: value, event: 1 });
  });

  test('log.locality: a H-CRTM starts PCR 0 with 4', () => {
    const log = agileLog('sha256', extend(0, D, EV.EFI_HCRTM_EVENT));
    expect(pcr(log, 0)).toBe(from(4));
  });

  test('log.locality: the first event counts, and the second is told', () => {
    const log = agileLog('sha256', locality(3), locality(0), extend(0));
    expect(pcr(log, 0)).toBe(from(3));
    expect(warnings(log)).toEqual(['locality']);
  });

  test('log.locality: what comes late is told', () => {
    expect(warnings(agileLog('sha256', extend(0), locality(3)))).toEqual(['locality']);
  });

  test.each([
    ['another locality', locality(1)],
    ['another PCR', locality(3, 1)],
    ['a length that is wrong', { ...locality(3), data: ascii('StartupLocality\0') }],
  ])('log.locality: %s is ignored, and told', (_, event) => {
    const log = agileLog('sha256', event, extend(0));
    expect(pcr(log, 0)).toBe(from(0));
    expect(warnings(log)).toEqual(['locality']);
  });

  test('EV_NO_ACTION extends nothing, whatever digest it has', () => {
    const log = agileLog('sha256', { pcr: 3, type: EV.NO_ACTION, digests: digests('sha256', D) });
    expect(pcr(log, 3)).toBe('00'.repeat(32));
  });
});
