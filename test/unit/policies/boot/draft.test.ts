import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { draftBoot } from '../../../../policies/boot/draft.ts';
import { type Boot, judge, measuring, opaque, policy, recorded, rulesOf } from './boots.ts';

type Profile = Parameters<typeof draftBoot>[0]['profile'];

function draft(profile: Profile, { log, values }: Boot, commandLine?: string): string {
  const section = draftBoot({
    ...{ profile, bank: 'sha256', values, firmware: log ?? new Uint8Array() },
    ...(commandLine === undefined ? {} : { commandLine }),
  });
  return policy(stringify(section, { collectionStyle: 'flow', lineWidth: 0 }).trim());
}

const LINE =
  'console=ttyS0 loglevel=6 panic=-1 random.trust_cpu=on tpm_tis.interrupts=0 ima_policy=tcb ima_hash=sha256 ima_template=ima-ng';

describe('a drafted section', () => {
  test.each([
    ['shim-grub', 'sb-clean-1', 'sb-cmdline-changed', ['boot.file', 'boot.command-line']],
    ['uki', 'uki-clean', 'uki-cmdline-changed', ['boot.application', 'boot.command-line', 'boot.section']],
    ['direct-kernel', 'direct-clean-1', 'direct-cmdline-changed', ['boot.command-line']],
    ['bios', 'bios-seabios', 'bios-seabios', []],
  ] as const)(
    '%s: the boot it was made from passes, and changes are named',
    (profile, good, other, rules) => {
      const line = profile === 'direct-kernel' ? `${LINE} initrd=initrd` : undefined;
      const document = draft(profile, recorded(good), line);
      expect(judge(document, recorded(good)).findings).toEqual([]);
      expect(rulesOf(judge(document, recorded(other)))).toEqual(rules);
    },
  );

  test('a command line that the boot does not prove is not taken', () => {
    const document = draft('direct-kernel', recorded('direct-clean-1'), 'quiet');
    expect(document).toContain('command-line: any');
  });

  test('names what Secure Boot trusts', () => {
    expect(draft('shim-grub', recorded('sb-clean-1'))).toContain('CN=Microsoft Corporation UEFI CA 2011');
  });

  test('code of devices is taken as it is', () => {
    const boot = measuring('sb-clean-1', (events) => [opaque(2, 0x80000004), ...events]);
    expect(judge(draft('shim-grub', boot), boot).findings).toEqual([]);
    expect(rulesOf(judge(draft('shim-grub', recorded('sb-clean-1')), boot))).toEqual(['boot.option-rom']);
  });

  test('a profile whose registers the log does not explain is refused', () => {
    const { log } = recorded('sb-clean-1');
    expect(() => draft('shim-grub', { ...recorded('uki-clean'), log })).toThrow(RangeError);
  });
});
