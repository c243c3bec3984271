import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { parseEventLog } from '../../../../core/eventlog/index.ts';
import { bootOfReferenceState } from '../../../../policies/importers/keylime-boot.ts';
import { filesOfRuntimePolicy } from '../../../../policies/importers/keylime-files.ts';
import { globsOf, literalOf } from '../../../../policies/importers/keylime-text.ts';
import { parsePolicy } from '../../../../policies/language/parse.ts';
import { judge, policy, recorded, rulesOf } from '../boot/boots.ts';

/** What Keylime's tool would write of a recorded boot: digests with 0x before them, and the command line escaped. */
function referenceState(changes: object = {}) {
  const events = parseEventLog(recorded('sb-clean-1').log ?? new Uint8Array()).events;
  const digestOf = (index: number) => {
    const found =
      events[index]?.digests.find(({ bank }) => bank.hash === 'sha256')?.digest ?? new Uint8Array();
    return `0x${Buffer.from(found).toString('hex')}`;
  };
  const line = Buffer.from(events[44]?.data ?? [])
    .toString('latin1')
    .replace(/^kernel_cmdline: /, '')
    .replace(/\0$/, '');
  return JSON.stringify({
    has_secureboot: true,
    scrtm_and_bios: [
      {
        scrtm: { sha256: digestOf(1) },
        platform_firmware: [{ sha256: digestOf(2) }, { sha256: digestOf(3) }],
      },
    ],
    kernels: [
      {
        shim_authcode_sha256: digestOf(24),
        grub_authcode_sha256: digestOf(30),
        kernel_authcode_sha256: digestOf(42),
        initrd_plain_sha256: digestOf(46),
        kernel_cmdline: line.replace(/[^\w/:]/g, '\\$&'),
      },
    ],
    mokdig: [{ sha256: digestOf(25) }],
    ...changes,
  });
}

function policyOf(text: string): string {
  const { section } = bootOfReferenceState(text);
  return policy(
    stringify(section, { collectionStyle: 'flow', lineWidth: 0 }).trim(),
    "{ bank: sha256, require: '0-9' }",
  );
}

describe("Keylime's measured boot reference state", () => {
  test('of a boot passes it, but for the files that Keylime lets pass by their names', () => {
    const { findings } = judge(policyOf(referenceState()), recorded('sb-clean-1'));
    expect(new Set(findings.map(({ rule }) => rule))).toEqual(new Set(['boot.file']));
    const lax = policyOf(referenceState()).replace(/files: \{[^}]*\}/, 'files: any');
    expect(judge(lax, recorded('sb-clean-1')).findings).toEqual([]);
    expect(rulesOf(judge(lax, recorded('sb-cmdline-changed')))).toEqual(['boot.command-line']);
  });

  test('forbids another kernel, other firmware and another key', () => {
    const lax = (changes: object) =>
      policyOf(referenceState(changes)).replace(/files: \{[^}]*\}/, 'files: any');
    const other = { sha256: `0x${'ab'.repeat(32)}` };
    expect(rulesOf(judge(lax({ kernels: [] }), recorded('sb-clean-1')))).toEqual(['boot.application']);
    expect(rulesOf(judge(lax({ scrtm_and_bios: [{ scrtm: other }] }), recorded('sb-clean-1')))).toEqual([
      'boot.firmware',
    ]);
    const pk = [{ SignatureOwner: '26dc4851-195f-4ae1-9a19-fbf883bbb35e', SignatureData: '0x3003020101' }];
    expect(rulesOf(judge(lax({ pk }), recorded('sb-clean-1')))).toEqual(['boot.pk']);
    const dbx = [{ SignatureOwner: '26dc4851-195f-4ae1-9a19-fbf883bbb35e', SignatureData: other.sha256 }];
    expect(rulesOf(judge(lax({ dbx }), recorded('sb-clean-1')))).toEqual(['boot.dbx']);
  });

  test('says what is left for a person', () => {
    const kernels = [{ kernel_cmdline: 'root=(a|b)' }];
    const { section, notes } = bootOfReferenceState(
      referenceState({ kernels, vendor_db: [{ SignatureData: '0x30' }] }),
    );
    expect(section['command-line']).toBe('any');
    for (const about of ['root=(a|b)', 'grub.cfg', 'vendor_db', 'MokList'])
      expect(notes.join('\n')).toContain(about);
  });

  test('of another format is refused by name', () => {
    expect(() => bootOfReferenceState('{"kernels": 1}')).toThrow(
      /a measured boot reference state of Keylime is expected: the top/,
    );
  });
});

describe("Keylime's runtime policy", () => {
  const RULES = { excludes: [], keyrings: {}, ignoredKeyrings: [], buffers: {}, verificationKeys: '' };
  const SET = `sha256:${'ab'.repeat(32)}`;

  test('gives its exclusions, keyrings, buffers and keys, and says what it cannot', () => {
    const { section, notes } = filesOfRuntimePolicy(
      {
        excludes: ['/tmp/.*', '/x(a|b)'],
        keyrings: { '.ima': ['cd'.repeat(32)] },
        ignoredKeyrings: ['.evm', '*'],
        buffers: { dm_table_load: ['ef'.repeat(32)] },
        verificationKeys: JSON.stringify({ pubkeys: ['MFkw'] }),
      },
      SET,
    );
    expect(section).toMatchObject({
      allow: [SET],
      exclude: ['/tmp/**'],
      keyrings: { '.ima': { keys: ['cd'.repeat(32)] }, '.evm': { keys: 'any' } },
      buffers: { dm_table_load: ['ef'.repeat(32)] },
      keys: [{ id: 'keylime-1', key: expect.stringContaining('MFkw') }],
    });
    for (const about of ['/x(a|b)', 'may sign', 'ignores all', 'violations'])
      expect(notes.join('\n')).toContain(about);
  });

  test('without rules is its digests alone, and a policy', () => {
    const { section } = filesOfRuntimePolicy(RULES, SET);
    expect(section).toEqual({ allow: [SET] });
    const text = `assay: policy/v1
name: x
freshness: { interval: 30s, trust-for: 5m }
reaction: ban
pcrs: { bank: sha256, require: 0-10 }
ima: ${JSON.stringify(section)}
`;
    expect(parsePolicy(text).ima?.allow).toEqual([SET]);
  });
});

test.each([
  ['/tmp/.*', ['/tmp/**']],
  ['^/var/log/.*$', ['/var/log/**']],
  ['/etc/mtab$', ['/etc/mtab']],
  ['/etc/mtab', ['/etc/mtab', '/etc/mtab/**']],
  ['/usr/lib/a\\.so', ['/usr/lib/a.so', '/usr/lib/a.so/**']],
  ['/a(b|c)', []],
  ['/a/.*/b', []],
  ['[^/]*', []],
])('the exclusion %s is %j', (pattern, globs) => {
  expect(globsOf(pattern)).toEqual(globs);
});

test('a pattern that is one text gives it', () => {
  expect(literalOf('/vmlinuz\\-6\\.1\\ root=LABEL\\=x')).toBe('/vmlinuz-6.1 root=LABEL=x');
  expect(literalOf('a.b')).toBe('a.b');
  for (const pattern of ['a.*b', 'a|b', 'a\\d', '[ab]', 'a+']) expect(literalOf(pattern)).toBeUndefined();
});
