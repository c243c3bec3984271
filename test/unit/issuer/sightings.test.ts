import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  EARLY_SVIDS,
  looksCloned,
  type SeenSvid,
  type Sighting,
  seeSvid,
  WITHIN_MS,
} from '../../../issuer/domain/sightings.ts';

const svid = (serial: string | number, expires: number): SeenSvid => ({
  serial: String(serial),
  expiresAt: new Date(expires),
});

/** What is seen every `everyMs` of an agent that gets SVIDs of `lifeMs` at these times. */
function watch(
  madeAt: readonly number[],
  lifeMs: number,
  everyMs: number,
  untilMs: number,
): Sighting | undefined {
  let sighting: Sighting | undefined;
  for (let at = 0; at <= untilMs; at += everyMs) {
    const made = madeAt.filter((time) => time <= at).at(-1);
    if (made !== undefined) sighting = seeSvid(sighting, svid(made, made + lifeMs), at);
    if (sighting && looksCloned(sighting)) return sighting;
  }
  return sighting;
}

const every = (ms: number, until: number) =>
  Array.from({ length: Math.ceil(until / ms) }, (_, index) => index * ms);

test('id.clone: two holders that attest in turn are found within three minutes', () => {
  const found = watch(every(5000, 600_000), 300_000, 15_000, 600_000);
  expect(found && looksCloned(found)).toBe(true);
  expect(found?.seenAt).toBeLessThan(WITHIN_MS);
});

test('an agent that attests again at half of its time never looks cloned, however often it is looked at', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 60_000, max: 3_600_000 }),
      fc.integer({ min: 1000, max: 15_000 }),
      fc.array(fc.double({ min: 0.45, max: 0.6, noNaN: true }), { minLength: 30, maxLength: 30 }),
      (lifeMs, everyMs, parts) => {
        let time = 0;
        const made = parts.map((part) => (time += part * lifeMs));
        const sighting = watch(made, lifeMs, everyMs, Math.min(time, 400 * everyMs));
        expect(sighting?.early ?? []).toEqual([]);
      },
    ),
  );
});

test('a few starts of an agent that does not keep its key are no clone', () => {
  const starts = [0, 20_000, 40_000, 60_000, 80_000, 100_000, 120_000];
  const sighting = watch(starts, 300_000, 5000, 300_000);
  expect(sighting && looksCloned(sighting)).toBe(false);
  expect(starts.length).toBeLessThan(EARLY_SVIDS);
});

test('early ones of long ago do not count', () => {
  const sighting = watch(every(30_000, 3_600_000), 300_000, 15_000, 3_600_000);
  expect(sighting && looksCloned(sighting)).toBe(false);
});

test('a ban and its end are no attestations', () => {
  let sighting = seeSvid(undefined, svid(1, 300_000), 0);
  for (let round = 1; round < 40; round += 1)
    sighting = seeSvid(sighting, svid(round % 2 ? '' : round, 300_000 + round * 1000), round * 1000);
  expect(sighting.early).toEqual([]);
});
