import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { AssayError } from '../../../core/errors.ts';
import { parsePolicy } from '../../../policies/language/parse.ts';

const VALUE = 'ab'.repeat(32);

function document(changes: Readonly<Record<string, string>> = {}): string {
  const lines: Record<string, string> = {
    assay: 'policy/v1',
    name: 'web',
    freshness: '{ interval: 30s, trust-for: 5m }',
    reaction: 'ban',
    pcrs: `{ bank: sha256, require: 0-2, values: { 7: { any-of: [${VALUE}] } } }`,
    ...changes,
  };
  return Object.entries(lines)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

function problemsOf(text: string): string {
  try {
    parsePolicy(text, 'web.yaml');
  } catch (error) {
    if (error instanceof AssayError && error.code === 'invalid-policy') return error.message;
    throw error;
  }
  throw new Error('the policy was accepted');
}

describe('parsePolicy', () => {
  test('compiles durations, the selection and the rules', () => {
    const policy = parsePolicy(document());
    expect(policy.freshness).toEqual({ intervalMs: 30_000, trustForMs: 300_000 });
    expect(policy.pcrs.selection).toEqual([0, 1, 2, 7]);
    expect(policy.pcrs.rules).toEqual([{ id: 'pcr.7', pcr: 7, anyOf: new Set([VALUE]) }]);
  });

  test('ways back from a ban are rules with a number of passes', () => {
    expect(parsePolicy(document()).recovery).toBeUndefined();
    const { recovery } = parsePolicy(document({ recovery: '{ re-enrolment: 5, reboot: 3 }' }));
    expect(Object.fromEntries(recovery ?? [])).toEqual({ reboot: 3, 're-enrolment': 5 });
  });

  test('accepts the shipped baseline', () => {
    const text = readFileSync(new URL('../../../policies/profiles/baseline.yaml', import.meta.url), 'utf8');
    expect(parsePolicy(text, 'baseline.yaml').pcrs.selection).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14]);
  });

  const refusals: readonly [name: string, changes: Record<string, string>, expected: RegExp][] = [
    ['a missing key', { reaction: '' }, /web\.yaml:4:1.*reaction/],
    ['an unknown key', { colour: 'blue' }, /web\.yaml:6:9: colour: unknown key/],
    [
      'a register that is no number',
      { pcrs: '{ bank: sha256, require: 0-2, values: { seven: { any-of: [] } } }' },
      /pcrs\.values\.seven: unknown key/,
    ],
    [
      'a file without its directory',
      { ima: `{ files: { bin/x: [${VALUE}] } }` },
      /ima\.files\.bin\/x: unknown key/,
    ],
    [
      'a buffer whose name has spaces',
      { ima: `{ files: { /x: [${VALUE}] }, buffers: { 'a b': any } }` },
      /ima\.buffers\.a b: unknown key/,
    ],
    ['a condition whose name has capitals', { when: '{ A: tpm.clock > 1 }' }, /when\.A: unknown key/],
    ['another language version', { assay: 'policy/v9' }, /expected "policy\/v1"/],
    ['a duration without a unit', { freshness: '{ interval: 30, trust-for: 5m }' }, /freshness\.interval/],
    ['an interval under a second', { freshness: '{ interval: 10ms, trust-for: 5m }' }, /at least 1s/],
    [
      'trust shorter than two intervals',
      { freshness: '{ interval: 30s, trust-for: 59s }' },
      /twice the interval/,
    ],
    ['trust without end', { freshness: '{ interval: 30s, trust-for: 8d }' }, /at most 7d/],
    ['an unknown reaction', { reaction: 'ignore' }, /reaction: expected one of ban, stop, report/],
    [
      'a way back where there is no ban',
      { reaction: 'stop', recovery: '{ reboot: 1 }' },
      /recovery: says nothing/,
    ],
    ['a way back for nothing', { recovery: '{ reboot: 0 }' }, /recovery\.reboot/],
    ['a way back after something else', { recovery: '{ time: 3 }' }, /recovery\.time: unknown key/],
    ['an empty way back', { recovery: '{}' }, /recovery/],
    ['the SHA-1 bank', { pcrs: '{ bank: sha1, require: 0-2 }' }, /pcrs\.bank: expected one of sha256/],
    ['no PCR at all', { pcrs: '{ bank: sha256, require: 5-2 }' }, /names no PCR/],
    ['a PCR that does not exist', { pcrs: '{ bank: sha256, require: 0-24 }' }, /PCR 24 does not exist/],
    ['the debug PCR', { pcrs: '{ bank: sha256, require: "0,16" }' }, /PCR 16 cannot be used/],
    ['the application PCR', { pcrs: '{ bank: sha256, require: "0,23" }' }, /PCR 23 cannot be used/],
    [
      'a value of another bank',
      { pcrs: `{ bank: sha384, require: 0-2, values: { 7: { any-of: [${VALUE}] } } }` },
      /values\.7\.any-of\.0: has 64 hex digits, a sha384 value has 96/,
    ],
    [
      'two rules with one id',
      {
        pcrs: `{ bank: sha256, require: 0-2, values: { 1: { id: x, any-of: [${VALUE}] }, 2: { id: x, any-of: [${VALUE}] } } }`,
      },
      /another rule has the id "x"/,
    ],
    ['a duplicate key', { name: 'web\nname: other' }, /web\.yaml:3/],
    ['an alias', { name: '&a web', description: '*a' }, /anchors and aliases/],
  ];
  for (const [name, changes, expected] of refusals) {
    test(`refuses ${name} and says where`, () => {
      expect(problemsOf(document(changes))).toMatch(expected);
    });
  }

  test('reports all problems together', () => {
    const text = document({ reaction: 'ignore', freshness: '{ interval: soon, trust-for: 5m }' });
    expect(problemsOf(text)).toMatch(/has 2 problems/);
  });
});
