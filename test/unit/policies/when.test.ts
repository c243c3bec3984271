import { describe, expect, test } from 'vitest';
import type { BootClaims } from '../../../policies/boot/claims.ts';
import { evaluateConditions } from '../../../policies/conditions.ts';
import { parsePolicy } from '../../../policies/language/parse.ts';
import { diffPolicies } from '../../../policies/tools/diff.ts';
import { judge, profile, quoteOf, recorded, rulesOf } from './boot/boots.ts';

const BOOT =
  'boot: { profile: direct-kernel, secure-boot: any, option-roms: any, applications: any, files: any, command-line: any }';
const policy = (when: Readonly<Record<string, string>>, boot = BOOT) =>
  parsePolicy(`assay: policy/v1
name: t
freshness: { interval: 30s, trust-for: 5m }
reaction: ban
pcrs: { bank: sha256, require: 0-7 }
${boot}
when: ${JSON.stringify(when)}
`);

const CLAIMS: BootClaims = {
  firmwareVersions: ['EDK II 2022.11'],
  secureBoot: true,
  authorities: [{ variable: 'db', digest: 'ab'.repeat(32) }],
  sbat: { shim: 4 },
  applications: ['cd'.repeat(32)],
  commandLines: ['root=/dev/vda ro'],
};
const appraisal = quoteOf(new Map([[7, new Uint8Array(32).fill(7)]]));
if (!appraisal.ok) throw new Error('the quote does not verify');
const { quote: QUOTE } = appraisal;

/** Rules of the conditions that do not hold. */
function failing(expression: string, claims: BootClaims | undefined = CLAIMS): string[] {
  const { when = [] } = policy({ it: expression });
  return evaluateConditions(when, QUOTE, claims).map(({ message }) => message);
}

describe('a condition that holds says nothing', () => {
  test.each([
    'boot.secureBoot',
    'boot.firmware.all(v, v.startsWith("EDK II"))',
    'boot.authorities.exists(a, a.variable == "db" && a.digest.startsWith("abab"))',
    'boot.sbat["shim"] >= 4',
    '!("grub" in boot.sbat) || boot.sbat["grub"] > 3',
    'boot.commandLines.all(c, !c.contains("debug"))',
    'boot.applications.size() == 1',
    `pcrs[7] == "${'07'.repeat(32)}"`,
    'tpm.resetCount == 7 && tpm.restartCount == 1 && tpm.clock == 123456',
    'tpm.firmwareVersion == "0102030405060708"',
  ])('%s', (expression) => {
    expect(failing(expression)).toEqual([]);
  });
});

describe('when: a condition fails closed', () => {
  test('one that is false is told with its text', () => {
    expect(failing('boot.firmware.exists(v, v == "other")')).toEqual([
      'the condition does not hold: boot.firmware.exists(v, v == "other")',
    ]);
  });

  test('one that cannot be decided does not hold, and says why', () => {
    expect(failing('boot.sbat["grub"] > 3')).toEqual([
      'the condition cannot be decided, No such key: grub: boot.sbat["grub"] > 3',
    ]);
    expect(failing('pcrs[23] == "00"')).toHaveLength(1);
  });

  test('firmware that says nothing of Secure Boot has it not', () => {
    expect(failing('boot.secureBoot', { ...CLAIMS, secureBoot: undefined })).toHaveLength(1);
  });

  test('more than a condition may look at does not hold, whatever it says', () => {
    const many = Array.from({ length: 65 }, () => 'x');
    expect(failing('boot.secureBoot', { ...CLAIMS, commandLines: many })[0]).toContain('cannot be asked');
    expect(failing('boot.secureBoot', { ...CLAIMS, commandLines: ['x'.repeat(17_000)] })).toHaveLength(1);
    // One that does not look at the boot is not concerned.
    expect(failing('tpm.resetCount == 7', { ...CLAIMS, commandLines: many })).toEqual([]);
  });

  test('where nothing is proven of the boot, its conditions are not asked: the boot itself has failed', () => {
    const { when = [] } = policy({ a: 'boot.secureBoot', b: 'tpm.resetCount == 4' });
    expect(evaluateConditions(when, QUOTE, undefined).map(({ rule }) => rule)).toEqual(['when.b']);
  });

  test('the longest loops over the most that is looked at end at once', () => {
    const commandLines = Array.from({ length: 64 }, () => 'x'.repeat(255));
    const terms = Array.from({ length: 12 }, (_, n) => `(a + b).contains("y${n}")`).join(' || ');
    const found = failing(`boot.commandLines.exists(a, boot.commandLines.exists(b, ${terms}))`, {
      ...CLAIMS,
      commandLines,
    });
    expect(found).toHaveLength(1);
  });
});

describe('is refused when the policy is read', () => {
  test.each([
    ['no bool', 'tpm.resetCount', 'gives int, bool is expected'],
    ['an unknown name', 'node.name == "x"', 'Unknown variable'],
    ['an unknown field', 'boot.kernel == "x"', 'No such key'],
    ['types that do not fit', 'boot.secureBoot > 3', 'no such overload'],
    ['no CEL', 'a &&', 'Unexpected token'],
    ['patterns', 'boot.firmware.all(v, v.matches("(a+)+"))', 'matches is not accepted'],
    ['deep loops', 'boot.firmware.all(a, boot.firmware.all(b, boot.firmware.all(c, a == b)))', 'loops'],
    ['nesting', `${'('.repeat(40)}true${')'.repeat(40)} && ${'!'.repeat(40)}true`, ''],
    ['size', Array.from({ length: 120 }, () => 'true').join('&&'), ''],
  ])('%s', (_case, expression, problem) => {
    expect(() => policy({ it: expression })).toThrow(problem);
    expect(() => policy({ it: expression })).toThrow(/policy:\d+:\d+: when\.it: /);
  });

  test('the boot, where no log of it is read', () => {
    expect(() => policy({ it: 'boot.secureBoot' }, '')).toThrow('only with a section boot');
    expect(policy({ it: 'tpm.resetCount < 5' }, '').when).toHaveLength(1);
  });
});

test('when: a real boot is held against conditions in the same verdict as everything else', () => {
  const judged = (condition: string) =>
    judge(
      `${profile('debian-shim-grub')}when: ${JSON.stringify({ it: condition })}\n`,
      recorded('sb-clean-1'),
    );
  expect(judged('boot.secureBoot && boot.sbat["shim"] >= 4').outcome).toBe('pass');
  const failed = judged('boot.sbat["shim"] >= 5');
  expect(failed).toMatchObject({ outcome: 'fail', byPolicy: true });
  expect(rulesOf(failed)).toEqual(['when.it']);
});

test('policy diff names conditions that are no longer asked', () => {
  const { allowed, forbidden } = diffPolicies(
    policy({ old: 'boot.secureBoot', same: 'tpm.clock > 1' }),
    policy({ renamed: 'tpm.clock > 1', added: 'tpm.resetCount < 5' }),
  );
  expect(allowed).toEqual([{ what: 'when', message: 'what does not satisfy: boot.secureBoot' }]);
  expect(forbidden).toEqual([{ what: 'when', message: 'what does not satisfy: tpm.resetCount < 5' }]);
});
