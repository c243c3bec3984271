import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { minimise, problemOf } from '../../fuzz/fuzzer.ts';
import { mutate } from '../../fuzz/mutate.ts';
import { Random } from '../../fuzz/random.ts';
import { TARGETS } from '../../fuzz/targets.ts';

const REGRESSIONS = fileURLToPath(new URL('../../fuzz/regressions/', import.meta.url));
const now = () => performance.now();

describe.each(TARGETS.map((target) => [target.name, target] as const))('%s', (name, target) => {
  test('begins with an input that it takes', async () => {
    let taken = 0;
    for (const seed of target.seeds()) {
      try {
        await target.run(seed);
        taken += 1;
      } catch (error) {
        expect(target.expects(error)).toBe(true);
      }
    }
    expect(taken).toBeGreaterThan(0);
  });

  const folder = `${REGRESSIONS}${name}`;
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    test(`what was found once is not found again: ${file}`, async () => {
      expect(await problemOf(target, new Uint8Array(readFileSync(`${folder}/${file}`)), now)).toBeUndefined();
    });
  }
});

test('the same seed gives the same changes', () => {
  const input = Uint8Array.from({ length: 64 }, (_, index) => index);
  const changes = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 50 }, () => mutate(input, random, [input], ['word']));
  };
  expect(changes(7)).toEqual(changes(7));
  expect(changes(7)).not.toEqual(changes(8));
});

test('what does not end in time, or throws later, is found', async () => {
  const planted = (run: () => Promise<void>) => ({
    ...{ name: 'planted', seeds: () => [], expects: () => false, run },
  });
  const input = new Uint8Array();
  expect(
    await problemOf(
      planted(() => Promise.reject(new Error('later'))),
      input,
      now,
    ),
  ).toBe('Error: later');
  vi.useFakeTimers();
  try {
    const stuck = problemOf(
      planted(() => new Promise(() => {})),
      input,
      () => 0,
    );
    await vi.runAllTimersAsync();
    expect(await stuck).toBe('never ends');
  } finally {
    vi.useRealTimers();
  }
});

test('a finding is made as small as it can be', async () => {
  const target = {
    name: 'planted',
    seeds: () => [],
    expects: () => false,
    run: (bytes: Uint8Array) => {
      if (Buffer.from(bytes).includes('BUG')) throw new Error(`planted at ${bytes.length}`);
    },
  };
  const input = new Uint8Array(Buffer.from('some text with a BUG in the middle of it'));
  const problem = (await problemOf(target, input, now)) ?? '';
  expect(problem).toBe('Error: planted at 40');
  const small = await minimise({ target: 'planted', input, problem }, target, now);
  expect(Buffer.from(small).toString()).toBe('BUG');
});
