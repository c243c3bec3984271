import { expect, test } from 'vitest';
import { exposureEnds, lastOf } from '../../../issuer/domain/exposure.ts';

const now = new Date('2030-01-01T12:00:00Z');
const after = (minutes: number) => new Date(now.getTime() + minutes * 60_000);
const served = { agentTtlSeconds: 600, workloadTtlsSeconds: [60, 300] };
const held = { ...served, agentSvidExpiresAt: after(4), bannedSince: null };

test('a banned agent got its last SVID before the ban, and so did its workloads', () => {
  const banned = { ...held, bannedSince: after(-1) };
  const ends = exposureEnds({ state: 'banned', certificateExpiresAt: after(30) }, banned, now);
  expect(ends).toEqual({ agentSvid: after(4), workloads: after(4) });
});

test('without a ban in force it attests for as long as its certificate is valid', () => {
  const ends = exposureEnds({ state: 'failed', certificateExpiresAt: after(3) }, held, now);
  expect(ends).toEqual({ agentSvid: after(13), workloads: after(18) });
});

test('with an expired certificate its SVID is the last one', () => {
  const ends = exposureEnds({ state: 'failed', certificateExpiresAt: after(-1) }, held, now);
  expect(ends).toEqual({ agentSvid: after(4), workloads: after(9) });
});

test('an agent that never attested, of a node without a valid certificate, holds nothing', () => {
  const unknown = { ...held, agentSvidExpiresAt: null };
  for (const certificateExpiresAt of [null, after(-1)])
    expect(exposureEnds({ state: 'retired', certificateExpiresAt }, unknown, now)).toEqual({
      agentSvid: 'none',
      workloads: 'none',
    });
});

test('an agent without workloads has none to end, whatever it holds', () => {
  const alone = { ...held, workloadTtlsSeconds: [] };
  for (const state of ['trusted', 'failed'] as const)
    expect(exposureEnds({ state, certificateExpiresAt: after(3) }, alone, now).workloads).toBe('none');
  const banned = { ...alone, bannedSince: after(-1) };
  expect(exposureEnds({ state: 'banned', certificateExpiresAt: null }, banned, now).workloads).toBe('none');
});

test('a trusted node gets new ones; a stale one only while its certificate is valid', () => {
  const holds = { certificateExpiresAt: after(3) };
  expect(exposureEnds({ ...holds, state: 'trusted' }, held, now)).toEqual({
    agentSvid: 'open',
    workloads: 'open',
  });
  expect(exposureEnds({ ...holds, state: 'stale' }, held, now).agentSvid).toEqual(after(13));
});

test('the last of several ends', () => {
  expect(lastOf([])).toBe('none');
  expect(lastOf(['none', after(2), after(1)])).toEqual(after(2));
  expect(lastOf([after(2), 'open'])).toBe('open');
});
