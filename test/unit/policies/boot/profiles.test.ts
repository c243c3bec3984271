import { describe, expect, test } from 'vitest';
import { judge, profile, recorded, rulesOf } from './boots.ts';

const KERNEL = '47b1ac90089cda78abce0ca82d492312d540569b04fa66860132d2e9ba6940a2';
const INITRD_MARK = '    allow: []\n  command-line';

/** The profile with what one machine needs filled in. */
function directKernel(initrd: string): string {
  return profile('direct-kernel')
    .replace(INITRD_MARK, `    allow: ['${initrd}']\n  command-line`)
    .replace('allow: []', `allow: ['${KERNEL}']`)
    .replace(
      'root=LABEL=root ro',
      'console=ttyS0 loglevel=6 panic=-1 random.trust_cpu=on tpm_tis.interrupts=0 ima_policy=tcb ima_hash=sha256 ima_template=ima-ng initrd=initrd',
    );
}

describe('ubuntu-shim-grub, as it ships', () => {
  const CANONICAL = 'ed1fe72cb9ca31c9af5b757afcd733323d675825032e6ced7fe1ae9eb767998c';
  const DEBIAN = '079646974bce09b1f04da67bd722d1fb0947ae4c4010bccdbba52d5b23cbf1a2';

  test('what Debian signed does not run on Ubuntu, and nothing else is wrong with such a boot', () => {
    const { findings } = judge(profile('ubuntu-shim-grub'), recorded('sb-clean-1'));
    expect(findings).toMatchObject([
      { rule: 'boot.authority', pcr: 7, message: expect.stringContaining(DEBIAN) },
    ]);
    const other = profile('ubuntu-shim-grub').replace(CANONICAL, DEBIAN);
    expect(judge(other, recorded('sb-clean-1')).findings).toEqual([]);
  });
});

describe('debian-shim-grub, as it ships', () => {
  test.each(['sb-clean-1', 'sb-clean-2'])('%s passes', (name) => {
    const verdict = judge(profile('debian-shim-grub'), recorded(name));
    expect(verdict).toMatchObject({ outcome: 'pass', findings: [] });
    expect(verdict).toMatchObject({
      boot: {
        secureBoot: true,
        sbat: { sbat: 1, shim: 4, grub: 5 },
        authorities: [{ variable: 'db' }, { variable: 'MokListRT' }],
        commandLines: [expect.stringContaining('ima_policy=tcb'), expect.stringContaining('ima_policy=tcb')],
      },
    });
  });

  test('sb-cmdline-changed: a word that is forbidden is named, with the event', () => {
    const strict = profile('debian-shim-grub').replace('- init=*', '- lab.debug=*');
    const { findings } = judge(strict, recorded('sb-cmdline-changed'));
    expect(findings.map(({ rule, pcr }) => [rule, pcr])).toEqual([
      ['boot.command-line', 8],
      ['boot.command-line', 8],
    ]);
    expect(findings[0]?.message).toMatch(
      /^event 40 of the boot log .* with "lab\.debug=1", which the policy forbids/,
    );
  });

  test('uki-clean: another signer is named', () => {
    expect(rulesOf(judge(profile('debian-shim-grub'), recorded('uki-clean')))).toEqual([
      'boot.sbat',
      'boot.authority',
      'boot.command-line',
    ]);
  });

  test('direct-clean-1: Secure Boot is off, and nothing checked the kernel', () => {
    expect(rulesOf(judge(profile('debian-shim-grub'), recorded('direct-clean-1')))).toEqual([
      'boot.secure-boot',
      'boot.sbat',
      'boot.application',
      'boot.command-line',
    ]);
  });

  test('log.missing: a node whose firmware log is empty', () => {
    const { findings } = judge(profile('debian-shim-grub'), {
      ...recorded('sb-clean-1'),
      log: new Uint8Array(),
    });
    expect(findings).toMatchObject([
      { rule: 'log.missing', message: expect.stringContaining('no boot log') },
    ]);
  });
});

describe('uki, as it ships', () => {
  test.each(['uki-clean', 'uki-db-append'])('%s passes', (name) => {
    expect(judge(profile('uki'), recorded(name)).findings).toEqual([]);
  });

  test('uki-cmdline-changed: another image, when one is named', () => {
    const one = 'e1e8323edf89298e5f9f3f37468471fb4eeedd85d763ab87c5cac7c47fd543e5';
    const loader = '9bf2519c746ec66b569300e423127a9361b47af7f66783c7e1378fb055671ad4';
    const strict = profile('uki').replace(
      'applications: signed',
      `applications: { allow: ['${one}', '${loader}'] }`,
    );
    expect(judge(strict, recorded('uki-clean')).outcome).toBe('pass');
    const { findings } = judge(strict, recorded('uki-cmdline-changed'));
    expect(findings.map(({ rule, pcr }) => [rule, pcr])).toEqual([['boot.application', 4]]);
  });

  test('uki-cmdline-changed: another command line, when one is named', () => {
    const line =
      'console=ttyS0 loglevel=6 panic=-1 random.trust_cpu=on tpm_tis.interrupts=0 ima_policy=tcb ima_hash=sha256 ima_template=ima-ng';
    const strict = profile('uki').replace('command-line: any', `command-line: { any-of: ['${line}'] }`);
    expect(judge(strict, recorded('uki-clean')).outcome).toBe('pass');
    const { findings } = judge(strict, recorded('uki-cmdline-changed'));
    expect(findings.map(({ rule, pcr }) => [rule, pcr])).toEqual([['boot.command-line', 9]]);
    expect(findings[0]?.message).toContain(
      'ima_template=ima-ng lab.debug=1", which boot.command-line.any-of does not name',
    );
  });
});

describe('direct-kernel', () => {
  test('as it ships it refuses everything that is to be filled in', () => {
    const { findings } = judge(profile('direct-kernel'), recorded('direct-clean-1'));
    expect(findings.map(({ rule }) => rule)).toEqual(['boot.application', 'boot.file', 'boot.command-line']);
  });

  test.each(['direct-clean-1', 'direct-clean-2', 'direct-kernel-unsigned', 'banks-sha256-only'])(
    '%s passes',
    (name) => {
      const draft = judge(profile('direct-kernel'), recorded(name)).findings;
      const initrd = draft[1]?.found ?? '';
      expect(judge(directKernel(initrd), recorded(name)).findings).toEqual([]);
    },
  );

  test('direct-cmdline-changed: a stub proves a digest, and it is another one', () => {
    const draft = judge(profile('direct-kernel'), recorded('direct-clean-1')).findings;
    const initrd = draft[1]?.found ?? '';
    const { findings } = judge(directKernel(initrd), recorded('direct-cmdline-changed'));
    expect(findings.map(({ rule, pcr }) => [rule, pcr])).toEqual([['boot.command-line', 9]]);
  });
});

describe('cloud-vm', () => {
  test('no log is asked for, and the registers must have their values', () => {
    const { values } = recorded('direct-clean-1');
    expect(rulesOf(judge(profile('cloud-vm'), { log: undefined, values }))).toEqual(['pcr.value']);
    const filled = [0, 4, 7].reduce(
      (text, pcr) =>
        text.replace(
          `${pcr}: { any-of: []`,
          `${pcr}: { any-of: ['${Buffer.from(values.get(pcr) ?? []).toString('hex')}']`,
        ),
      profile('cloud-vm'),
    );
    expect(judge(filled, { log: undefined, values }).outcome).toBe('pass');
  });
});

describe('a BIOS', () => {
  const document = profile('uki')
    .replace(/boot:[\s\S]*$/, 'boot: { profile: bios, applications: any, option-roms: any }\n')
    .replace('0-9, 11-13', '0-9');

  test('bios-seabios passes', () => {
    expect(judge(document, recorded('bios-seabios')).findings).toEqual([]);
  });

  test('boot.option-rom: code of devices is named where none is expected', () => {
    const strict = document.replace('option-roms: any', 'option-roms: none');
    expect(rulesOf(judge(strict, recorded('bios-seabios')))).toEqual(['boot.option-rom']);
  });
});
