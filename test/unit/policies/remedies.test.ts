import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { shownReasons } from '../../../cli/output/table.ts';
import { withRemedy } from '../../../core/remedy.ts';
import { judge, profile, recorded } from './boot/boots.ts';

const PROFILES = ['debian-shim-grub', 'uki', 'direct-kernel', 'cloud-vm', 'baseline'];
const BOOTS = ['sb-clean-1', 'direct-clean-1', 'uki-clean', 'bios-seabios'];
const LIES = ['ev-truncated', 'ev-event-removed', 'ev-duplicate-separator', 'ev-startup-locality-injected'];

const CASES = [
  ...BOOTS.flatMap((boot) => PROFILES.map((name) => [name, boot, boot] as const)),
  ...LIES.map((log) => ['debian-shim-grub', 'direct-clean-1', log] as const),
];

test.each(CASES)('%s, registers of %s, log of %s: each reason says what to do', (name, boot, log) => {
  const { findings } = judge(profile(name), recorded(boot, log));
  for (const finding of findings) expect(finding, finding.rule).toHaveProperty('remedy');
});

test('an event is told by its log and its place', () => {
  const strict = profile('debian-shim-grub').replace('- init=*', '- lab.debug=*');
  expect(judge(strict, recorded('sb-cmdline-changed')).findings[0]).toMatchObject({
    rule: 'boot.command-line',
    pcr: 8,
    event: { log: 'firmware', index: 40 },
    found: 'lab.debug=1',
  });
});

test('what a finding says itself counts more than what its rule says', () => {
  const finding = { rule: 'quote.clock', message: 'went back' };
  expect(withRemedy(finding).remedy).toMatch(/copy of this TPM/);
  expect(withRemedy({ ...finding, remedy: 'wait' }).remedy).toBe('wait');
  expect(withRemedy({ rule: 'when.mine', message: 'no' })).toEqual({ rule: 'when.mine', message: 'no' });
});

test('what several reasons have in common is shown once, behind them', () => {
  const reason = (message: string, remedy?: string) => ({
    rule: 'ima.digest',
    message,
    ...(remedy === undefined ? {} : { remedy }),
  });
  const lines = shownReasons([
    reason('a', 'x\u001b[2J'),
    reason('b', 'x\u001b[2J'),
    reason('c'),
    reason('d', 'y'),
  ]);
  expect(lines.map(stripVTControlCharacters)).toEqual([
    'ima.digest: a',
    'ima.digest: b',
    '  -> x\\x1b[2J',
    'ima.digest: c',
    'ima.digest: d',
    '  -> y',
  ]);
});
