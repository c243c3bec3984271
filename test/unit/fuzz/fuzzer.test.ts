import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { minimise, problemOf } from '../../fuzz/fuzzer.ts';
import { mutate } from '../../fuzz/mutate.ts';
import { Random } from '../../fuzz/random.ts';
import { TARGETS } from '../../fuzz/targets.ts';

const REGRESSIONS = fileURLToPath(new URL('../../fuzz/regressions/', import.meta.url));
const now = () => performance.now();

describe.each(TARGETS.map((target) => [target.name, target] as const))('%s', (name, target) => {
  test('begins with an input that it takes', () => {
    const taken = target.seeds().filter((seed) => {
      try {
        target.run(seed);
        return true;
      } catch (error) {
        expect(target.expects(error)).toBe(true);
        return false;
      }
    });
    expect(taken.length).toBeGreaterThan(0);
  });

  const folder = `${REGRESSIONS}${name}`;
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    test(`what was found once is not found again: ${file}`, () => {
      expect(problemOf(target, new Uint8Array(readFileSync(`${folder}/${file}`)), now)).toBeUndefined();
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

test('a finding is made as small as it can be', () => {
  const target = {
    name: 'planted',
    seeds: () => [],
    expects: () => false,
    run: (bytes: Uint8Array) => {
      if (Buffer.from(bytes).includes('BUG')) throw new Error(`planted at ${bytes.length}`);
    },
  };
  const input = new Uint8Array(Buffer.from('some text with a BUG in the middle of it'));
  const problem = problemOf(target, input, now) ?? '';
  expect(problem).toBe('Error: planted at 40');
  expect(Buffer.from(minimise({ target: 'planted', input, problem }, target, now)).toString()).toBe('BUG');
});
