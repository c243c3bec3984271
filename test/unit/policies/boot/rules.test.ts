import { describe, expect, test } from 'vitest';
import { concat, Writer } from '../../../../core/bytes/writer.ts';
import { EV } from '../../../../core/eventlog/index.ts';
import type { BootEvaluation } from '../../../../policies/boot/evaluate.ts';
import { DigestSetBuilder } from '../../../../policies/digests/build.ts';
import type { DigestName } from '../../../../policies/digests/digest-entry.ts';
import { DigestSet } from '../../../../policies/digests/digest-set.ts';
import { ascii, unhex, utf16 } from '../../core/eventlog/vectors.ts';
import { type Event, event, judge, measuring, opaque, policy, recorded, rulesOf } from './boots.ts';

const GRUB = 'sb-clean-1';
const LAX =
  '{ profile: shim-grub, secure-boot: any, applications: any, files: any, command-line: any, option-roms: any }';
const GLOBAL = '8be4df61-93ca-11d2-aa0d-00e098032b8c';
const SHIM = '605dab50-e046-4300-abb6-3dd810dd8b23';
const DATABASE = 'd719b2cb-3d3a-4596-a3bc-dad00e67656f';
const MICROSOFT = '77fa9abd-0359-4d32-bd60-28f4e78f784b';
const UEFI_CA = '48e99b991f57fc52f76149599bff0a58c47154229b9f8d603ac40d3500248507';
const DEBIAN_CA = '079646974bce09b1f04da67bd722d1fb0947ae4c4010bccdbba52d5b23cbf1a2';
const EMPTY_IMAGE = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
const OTHER = '11'.repeat(32);

/** The lax rules with some of them changed. */
function rules(change: Readonly<Record<string, string>>): string {
  const kept = Object.entries({
    ...{ profile: 'shim-grub', 'secure-boot': 'any', applications: 'any', files: 'any' },
    ...{ 'command-line': 'any', 'option-roms': 'any', ...change },
  });
  return policy(`{ ${kept.map(([key, value]) => `${key}: ${value}`).join(', ')} }`);
}

const insert =
  (at: number, ...more: readonly Event[]) =>
  (events: Event[]) =>
    events.toSpliced(at, 0, ...more);
const append =
  (...more: readonly Event[]) =>
  (events: Event[]) => [...events, ...more];
const replace = (at: number, by: Event) => (events: Event[]) => events.with(at, by);

function variable(vendor: string, name: string, data: Uint8Array): Uint8Array {
  const [a = '', b = '', c = '', d = '', e = ''] = vendor.split('-');
  const guid = new Writer()
    .u32le(parseInt(a, 16))
    .u16le(parseInt(b, 16))
    .u16le(parseInt(c, 16))
    .raw(unhex(d + e));
  const lengths = new Writer().u32le(name.length).u32le(0).u32le(data.length).u32le(0);
  return concat(guid.bytes(), lengths.bytes(), utf16(name), data);
}

const secureBoot = (on: boolean) =>
  event(7, EV.EFI_VARIABLE_DRIVER_CONFIG, variable(GLOBAL, 'SecureBoot', Uint8Array.of(on ? 1 : 0)));
const sbatLevel = (text: string) =>
  event(7, EV.EFI_VARIABLE_AUTHORITY, variable(SHIM, 'SbatLevel', ascii(text)));

test('the lax rules refuse nothing of an honest boot', () => {
  expect(judge(policy(LAX), recorded(GRUB)).findings).toEqual([]);
  expect(
    judge(
      policy(LAX),
      measuring(GRUB, (events) => events),
    ).findings,
  ).toEqual([]);
});

describe('replay', () => {
  test('log.replay: a register that something extended besides', () => {
    const boot = recorded(GRUB);
    const values = new Map(boot.values).set(4, boot.values.get(5) ?? new Uint8Array());
    const { findings } = judge(policy(LAX), { ...boot, values });
    expect(findings).toMatchObject([
      { rule: 'log.replay', pcr: 4, message: expect.stringContaining('PCR 4') },
    ]);
  });

  test('log.replay: a literal value stands for a register that the log does not explain', () => {
    const boot = recorded(GRUB);
    const value = boot.values.get(5) ?? new Uint8Array();
    const values = new Map(boot.values).set(4, value);
    const literal = `{ bank: sha256, require: 0-7, values: { 4: { any-of: ['${Buffer.from(value).toString('hex')}'] } } }`;
    expect(judge(policy(LAX, literal), { ...boot, values }).findings).toEqual([]);
  });

  test.each([
    ['ev-digest-changed', 4],
    ['ev-duplicate-separator', 7],
    ['ev-startup-locality-injected', 0],
  ])('log.replay: %s', (log, pcr) => {
    const direct = rules({ profile: 'direct-kernel' });
    const { findings } = judge(direct, recorded('direct-clean-1', log));
    expect(findings).toMatchObject([{ rule: 'log.replay', pcr }]);
  });

  test.each(['ev-bad-specid', 'ev-huge-event-size', 'ev-truncated'])('log.parse: %s', (log) => {
    expect(judge(policy(LAX), recorded('direct-clean-1', log)).findings).toMatchObject([
      { rule: 'log.parse' },
    ]);
  });

  test('ev-zero-padded: filling behind the last event is legal', () => {
    const direct = rules({ profile: 'direct-kernel' });
    expect(judge(direct, recorded('direct-clean-1', 'ev-zero-padded')).findings).toEqual([]);
  });

  test('log.final: what userspace measured is explained by its own log, or named', () => {
    const phase = event(11, 0, ascii('enter-initrd'));
    const boot = measuring('uki-clean', append(phase));
    const uki = policy('{ profile: uki, applications: any, command-line: any, option-roms: any }');
    const firmware = recorded('uki-clean').log;
    expect(judge(uki, { ...boot, log: firmware }).findings).toMatchObject([{ rule: 'log.replay', pcr: 11 }]);
    const record = {
      ...{ pcr: 11, digests: [{ hashAlg: 'sha256', digest: phase.digest }], content_type: 'systemd' },
      content: { string: 'enter-initrd', eventType: 'phase' },
    };
    const userspace = ascii(`\x1e${JSON.stringify(record)}\n`);
    expect(judge(uki, { ...boot, log: firmware, userspace }).findings).toEqual([]);
    const lie = ascii(
      `\x1e${JSON.stringify({ ...record, content: { string: 'ready', eventType: 'phase' } })}\n`,
    );
    expect(judge(uki, { ...boot, log: firmware, userspace: lie }).findings).toMatchObject([
      { rule: 'log.payload', pcr: 11 },
    ]);
  });
});

describe('grammar', () => {
  const separator = (pcr: number) => event(pcr, EV.SEPARATOR, new Uint8Array(4));

  test('log.event: a register that was never closed, or twice', () => {
    const open = measuring(GRUB, (events) =>
      events.filter(({ pcr, type }) => pcr !== 6 || type !== EV.SEPARATOR),
    );
    expect(judge(policy(LAX), open).findings).toMatchObject([
      { rule: 'log.event', pcr: 6, message: expect.stringContaining('no separator') },
    ]);
    expect(judge(policy(LAX), measuring(GRUB, append(separator(6)))).findings).toMatchObject([
      { rule: 'log.event', pcr: 6, message: expect.stringContaining('2 separators') },
    ]);
  });

  test('log.event: a separator is told by its digest, whatever type it is given', () => {
    const hidden = { ...separator(6), type: EV.ACTION };
    expect(judge(policy(LAX), measuring(GRUB, append(hidden))).findings).toMatchObject([{ pcr: 6 }]);
  });

  test('log.event: firmware that could not measure', () => {
    const error = { ...event(3, EV.SEPARATOR, Uint8Array.of(1, 0, 0, 0)) };
    expect(judge(policy(LAX), measuring(GRUB, append(error))).findings).toMatchObject([
      { rule: 'log.event', pcr: 3, message: expect.stringContaining('failed to measure') },
    ]);
  });

  test('log.event: firmware code behind the separator', () => {
    const late = measuring(GRUB, append(opaque(0, EV.POST_CODE)));
    expect(judge(policy(LAX), late).findings).toMatchObject([{ rule: 'log.event', pcr: 0 }]);
  });

  test('log.payload: a command of GRUB that is not the text it claims', () => {
    const { findings } = judge(policy(LAX), recorded(GRUB, 'ev-grub-cmdline-text-faked'));
    expect(findings).toMatchObject([{ rule: 'log.payload', pcr: 8 }]);
  });

  test('log.event: PCR 7 takes variables that are proven, each once, SecureBoot first', () => {
    const faults: readonly [string, (events: Event[]) => readonly Event[]][] = [
      ['for the second time', insert(4, secureBoot(true))],
      [
        'SecureBoot comes first',
        insert(3, event(7, EV.EFI_VARIABLE_DRIVER_CONFIG, variable(GLOBAL, 'AuditMode', Uint8Array.of(0)))),
      ],
      ['no variable that is proven', insert(4, opaque(7, EV.EFI_VARIABLE_DRIVER_CONFIG))],
      [
        'malformed',
        replace(3, event(7, EV.EFI_VARIABLE_DRIVER_CONFIG, variable(GLOBAL, 'SecureBoot', ascii('yes')))),
      ],
      ['no authority that is proven', append(opaque(7, EV.EFI_VARIABLE_AUTHORITY))],
      ['no authority that is proven', append(secureBoot(true))],
    ];
    for (const [message, edit] of faults) {
      const { findings } = judge(policy(LAX), measuring(GRUB, edit));
      const wanted = { rule: 'log.event', pcr: 7, message: expect.stringContaining(message) };
      expect(findings[0], message).toMatchObject(wanted);
      expect(rulesOf({ outcome: 'inconclusive', findings })).toEqual(['log.event']);
    }
  });
});

describe('log.event: a boot order of 0001, 0000 has the digest of an error', () => {
  const order = Uint8Array.of(1, 0, 0, 0);
  const bootOrder = { ...event(1, EV.EFI_VARIABLE_BOOT, order), data: variable(GLOBAL, 'BootOrder', order) };

  test('and is none in PCR 1, where there is a separator', () => {
    expect(judge(policy(LAX), measuring(GRUB, insert(9, bootOrder))).findings).toEqual([]);
  });

  test('an error that is called so is missing as a separator, and is one in another register', () => {
    const renamed = measuring(GRUB, (events) =>
      events.map((one) => (one.pcr === 1 && one.type === EV.SEPARATOR ? bootOrder : one)),
    );
    expect(judge(policy(LAX), renamed).findings).toMatchObject([
      { rule: 'log.event', message: expect.stringContaining('PCR 1 has no separator') },
    ]);
    const elsewhere = measuring(GRUB, append({ ...bootOrder, pcr: 5 }));
    expect(judge(policy(LAX), elsewhere).findings).toMatchObject([
      { rule: 'log.event', pcr: 5, message: expect.stringContaining('failed to measure') },
    ]);
    const plain = measuring(GRUB, append(event(1, EV.SEPARATOR, order)));
    expect(rulesOf(judge(policy(LAX), plain))).toEqual(['log.event']);
  });
});

describe('boot.rules: Secure Boot', () => {
  test('boot.secure-boot: firmware that has none measures the variable without a value', () => {
    const without = event(7, EV.EFI_VARIABLE_DRIVER_CONFIG, variable(GLOBAL, 'SecureBoot', new Uint8Array()));
    const boot = measuring(GRUB, replace(3, without));
    expect(judge(policy(LAX), boot).findings).toEqual([]);
    expect(judge(rules({ 'secure-boot': 'required' }), boot).findings).toMatchObject([
      { rule: 'boot.secure-boot', pcr: 7, message: expect.stringContaining('is off') },
    ]);
  });

  test('boot.secure-boot: off, however often it is said to be on later', () => {
    const off = measuring(GRUB, replace(3, secureBoot(false)));
    expect(judge(rules({ 'secure-boot': 'required' }), off).findings).toMatchObject([
      { rule: 'boot.secure-boot', pcr: 7, message: expect.stringContaining('is off') },
    ]);
    expect(judge(policy(LAX), off).findings).toEqual([]);
    const twice = measuring(GRUB, (events) =>
      append(secureBoot(true))([...replace(3, secureBoot(false))(events)]),
    );
    expect(rulesOf(judge(rules({ 'secure-boot': 'required' }), twice))).toEqual([
      'log.event',
      'boot.secure-boot',
    ]);
  });

  test('boot.firmware-state: what the firmware says against itself, unless it is accepted', () => {
    const debug = measuring(GRUB, insert(4, event(7, EV.EFI_ACTION, ascii('DMA Protection Disabled'))));
    expect(judge(policy(LAX), debug).findings).toMatchObject([{ rule: 'boot.firmware-state', pcr: 7 }]);
    expect(judge(rules({ 'accept-states': "['DMA Protection Disabled']" }), debug).findings).toEqual([]);
  });

  test('boot.db: an entry that is not expected, and one that is missing', () => {
    const only = (...match: readonly string[]) => rules({ keys: `{ db: { only: [${match.join(', ')}] } }` });
    const windows = 'e8e95f0733a55e8bad7be0a1413ee23c51fcea64b3c8fa6a786935fddcc71961';
    expect(judge(only(`{ owner: ${MICROSOFT} }`), recorded(GRUB)).findings).toEqual([]);
    expect(
      judge(only(`{ certificate: ${UEFI_CA} }`, `{ certificate: ${windows} }`), recorded(GRUB)).findings,
    ).toEqual([]);
    expect(judge(only(`{ certificate: ${UEFI_CA} }`), recorded(GRUB)).findings).toMatchObject([
      { rule: 'boot.db', pcr: 7, message: expect.stringContaining(`has the certificate ${windows}`) },
    ]);
    expect(
      judge(
        only(`{ certificate: ${UEFI_CA}, owner: ${GLOBAL} }`, `{ certificate: ${windows} }`),
        recorded(GRUB),
      ).findings,
    ).toHaveLength(1);
    const include = rules({ keys: `{ db: { include: [{ certificate: '${OTHER}' }] } }` });
    expect(judge(include, recorded(GRUB)).findings).toMatchObject([
      { rule: 'boot.db', message: expect.stringContaining(`lacks the certificate ${OTHER}`) },
    ]);
  });

  test('boot.pk, boot.kek: their own rules; a list that was not measured fails', () => {
    const keys = rules({
      keys: `{ pk: { only: [{ owner: ${MICROSOFT} }] }, kek: { only: [{ owner: ${MICROSOFT} }] } }`,
    });
    expect(rulesOf(judge(keys, recorded(GRUB)))).toEqual(['boot.pk', 'boot.kek']);
    const none = measuring(GRUB, (events) => events.toSpliced(4, 1));
    expect(
      judge(rules({ keys: `{ pk: { include: [{ owner: ${GLOBAL} }] } }` }), none).findings,
    ).toMatchObject([{ rule: 'boot.pk', message: expect.stringContaining('measured no PK') }]);
  });

  test('boot.dbx: a floor of what must be revoked', () => {
    expect(judge(rules({ dbx: `{ include: ['${EMPTY_IMAGE}'] }` }), recorded(GRUB)).findings).toEqual([]);
    expect(
      judge(rules({ dbx: `{ include: ['${EMPTY_IMAGE}', '${OTHER}'] }` }), recorded(GRUB)).findings,
    ).toMatchObject([
      { rule: 'boot.dbx', message: expect.stringContaining(`lacks the image digest ${OTHER}`) },
    ]);
  });

  test('boot.sbat: a floor for each component', () => {
    expect(judge(rules({ sbat: '{ shim: 4, grub: 5 }' }), recorded(GRUB)).findings).toEqual([]);
    expect(judge(rules({ sbat: '{ shim: 5 }' }), recorded(GRUB)).findings).toMatchObject([
      {
        rule: 'boot.sbat',
        message: expect.stringContaining('revoked below generation 4, the policy wants below 5'),
      },
    ]);
    expect(judge(rules({ sbat: '{ systemd-boot: 1 }' }), recorded(GRUB)).findings).toMatchObject([
      { rule: 'boot.sbat', message: expect.stringContaining('not revoked at all') },
    ]);
  });

  test('boot.sbat: a level that is measured later than shim measures it does not count', () => {
    const newer = sbatLevel('sbat,1,2099010100\nshim,9\ngrub,9\n');
    expect(rulesOf(judge(rules({ sbat: '{ shim: 9 }' }), measuring(GRUB, append(newer))))).toEqual([
      'log.event',
      'boot.sbat',
    ]);
    const onlyLater = measuring(GRUB, (events) => append(newer)(events.toSpliced(26, 1)) as Event[]);
    expect(rulesOf(judge(rules({ sbat: '{ shim: 9 }' }), onlyLater))).toEqual(['log.event', 'boot.sbat']);
  });

  test('boot.authority: who vouched for an image', () => {
    const both = rules({ authorities: `[{ certificate: ${UEFI_CA} }, { certificate: '${DEBIAN_CA}' }]` });
    expect(judge(both, recorded(GRUB)).findings).toEqual([]);
    expect(
      judge(rules({ authorities: `[{ certificate: ${UEFI_CA} }]` }), recorded(GRUB)).findings,
    ).toMatchObject([{ rule: 'boot.authority', pcr: 7, message: expect.stringContaining(DEBIAN_CA) }]);
  });

  test('boot.firmware-state: also behind the separator, where some firmware says it', () => {
    const said = event(7, EV.EFI_ACTION, ascii('DMA Protection Disabled'));
    const boot = measuring(GRUB, append(said));
    expect(judge(policy(LAX), boot).findings).toMatchObject([{ rule: 'boot.firmware-state', pcr: 7 }]);
    expect(judge(rules({ 'accept-states': '[DMA Protection Disabled]' }), boot).findings).toEqual([]);
  });

  test('boot.authority: what nobody knows is not accepted, and signs nothing', () => {
    const stranger = event(7, EV.EFI_VARIABLE_AUTHORITY, variable(SHIM, 'Friend', ascii('trust me')));
    const boot = measuring(GRUB, append(stranger));
    expect(judge(policy(LAX), boot).findings).toEqual([]);
    const named = rules({ authorities: `[{ certificate: ${UEFI_CA} }, { certificate: '${DEBIAN_CA}' }]` });
    expect(judge(named, boot).findings).toMatchObject([
      { rule: 'boot.authority', message: expect.stringContaining('unknown') },
    ]);
    const alone = measuring(GRUB, (events) => [
      ...events.filter(({ type }) => type !== EV.EFI_VARIABLE_AUTHORITY),
      stranger,
    ]);
    expect(rulesOf(judge(rules({ applications: 'signed', 'secure-boot': 'required' }), alone))).toEqual([
      'boot.application',
    ]);
  });

  test('boot.authority: shim names a certificate without an owner, and shim 15 with bytes behind it', () => {
    const both = rules({ authorities: `[{ certificate: ${UEFI_CA} }, { certificate: '${DEBIAN_CA}' }]` });
    // Event 28 is what vouched for GRUB.
    const bare = (events: Event[], padding: number) => {
      const old = events[28]?.data.subarray(32 + 2 * 'MokListRT'.length + 16) ?? new Uint8Array();
      const data = concat(variable(SHIM, 'Shim', old), new Uint8Array(padding));
      const measured = event(7, EV.EFI_VARIABLE_AUTHORITY, padding > 0 ? data.subarray(0, -1) : data);
      return events.with(28, { ...measured, data });
    };
    for (const padding of [0, 6]) {
      expect(
        judge(
          both,
          measuring(GRUB, (events) => bare(events, padding)),
        ).findings,
      ).toEqual([]);
    }
    const vendorDb = (events: Event[]) => {
      const entry = events[28]?.data.subarray(32 + 2 * 'MokListRT'.length) ?? new Uint8Array();
      return events.with(28, event(7, EV.EFI_VARIABLE_AUTHORITY, variable(DATABASE, 'vendor_db', entry)));
    };
    expect(judge(both, measuring(GRUB, vendorDb)).findings).toEqual([]);
    expect(
      judge(rules({ authorities: `[{ certificate: ${UEFI_CA} }]` }), measuring(GRUB, vendorDb)).findings,
    ).toMatchObject([{ rule: 'boot.authority', message: expect.stringContaining(DEBIAN_CA) }]);
    const owned = rules({ authorities: `[{ certificate: ${UEFI_CA} }, { owner: ${SHIM} }]` });
    expect(
      judge(
        owned,
        measuring(GRUB, (events) => bare(events, 0)),
      ).findings,
    ).toMatchObject([
      { rule: 'boot.authority', message: expect.stringContaining(`${DEBIAN_CA}, which has no owner`) },
    ]);
  });
});

describe('boot.rules: what ran', () => {
  const IMAGES = [
    '80a66d53a945d2286fcadd780fae1c225aa732079cd67b5225dc78aaab4e2ff8',
    'a68f6d71ebddaa19751ff8d729f67d11b0df8e4c49400c3e7e90de16119e1265',
    '5f21ff2c0d5d899842b28a8b19901ba72cf7a7ab93c02a77fadc6ff72be85b31',
  ];
  const named = rules({ applications: `{ allow: ['${IMAGES.join("', '")}'] }` });

  test('boot.application: every image by its digest', () => {
    expect(judge(named, recorded(GRUB)).findings).toEqual([]);
    expect(
      judge(rules({ applications: `{ allow: ['${IMAGES[0]}', '${IMAGES[1]}'] }` }), recorded(GRUB)).findings,
    ).toMatchObject([
      { rule: 'boot.application', pcr: 4, message: expect.stringContaining(`${IMAGES[2]}`) },
      { rule: 'boot.application', pcr: 4 },
    ]);
  });

  test('boot.application: every image by a digest set, which knows images apart from files', () => {
    const setOf = (algorithm: DigestName) => {
      const builder = new DigestSetBuilder();
      for (const image of IMAGES) builder.add({ path: ascii('/boot/x'), algorithm, digest: unhex(image) });
      return DigestSet.parse(builder.build());
    };
    const [images, files] = [setOf('authenticode-sha256'), setOf('sha256')];
    const bySet = ({ id }: DigestSet) => rules({ applications: `{ sets: ['${id}'] }` });
    expect(judge(bySet(images), recorded(GRUB), undefined, [images]).findings).toEqual([]);
    expect(rulesOf(judge(bySet(files), recorded(GRUB), undefined, [files]))).toEqual(['boot.application']);
    // Kernel and initrd in PCR 9 are measured as files.
    const ofFiles = rules({ files: `{ sets: ['${images.id}'] }` });
    expect(rulesOf(judge(ofFiles, recorded(GRUB), undefined, [images]))).toEqual(['boot.file']);
  });

  test('boot.application: an image that is called an action is one', () => {
    const hidden = { ...opaque(4, EV.EFI_ACTION), data: ascii('Calling EFI Application from Boot Option') };
    expect(rulesOf(judge(named, measuring(GRUB, append(hidden))))).toEqual(['boot.application']);
    const action = event(4, EV.EFI_ACTION, ascii('Returning from EFI Application from Boot Option'));
    expect(judge(named, measuring(GRUB, append(action))).findings).toEqual([]);
    const omitted = event(4, EV.OMIT_BOOT_DEVICE_EVENTS, ascii('BOOT ATTEMPTS OMITTED'));
    expect(rulesOf(judge(named, measuring(GRUB, append(omitted))))).toEqual(['boot.application']);
  });

  test('boot.application: a boot that measured no image', () => {
    const none = measuring(GRUB, (events) =>
      events.filter(({ pcr, type }) => pcr !== 4 || type === EV.SEPARATOR),
    );
    expect(judge(named, none).findings).toMatchObject([
      { rule: 'boot.application', message: expect.stringContaining('names no image') },
    ]);
  });

  test('boot.application: signed means that Secure Boot was on and something vouched', () => {
    const signed = rules({ applications: 'signed', 'secure-boot': 'required' });
    expect(judge(signed, recorded(GRUB)).findings).toEqual([]);
    const nobody = measuring(GRUB, (events) =>
      events.filter(({ pcr, type }) => pcr !== 7 || type !== EV.EFI_VARIABLE_AUTHORITY),
    );
    expect(judge(signed, nobody).findings).toMatchObject([
      { rule: 'boot.application', message: expect.stringContaining('nothing vouched') },
    ]);
  });

  test('boot.option-rom, boot.firmware: code by its digest, a version by its text', () => {
    const rom = opaque(2, EV.EFI_BOOT_SERVICES_DRIVER);
    const boot = measuring(GRUB, insert(0, rom));
    expect(judge(rules({ 'option-roms': 'none' }), boot).findings).toMatchObject([
      { rule: 'boot.option-rom', pcr: 2 },
    ]);
    expect(judge(rules({ 'option-roms': `{ allow: ['${rom.digest}'] }` }), boot).findings).toEqual([]);
    expect(rulesOf(judge(rules({ firmware: '{ allow: [] }' }), recorded(GRUB)))).toEqual(['boot.firmware']);
    const version = measuring(GRUB, replace(0, event(0, EV.S_CRTM_VERSION, utf16('1.2.3\0'))));
    expect(judge(rules({ firmware: "{ versions: ['1.2.3'] }" }), version).findings).toEqual([]);
    expect(judge(rules({ firmware: "{ versions: ['1.2.4'] }" }), version).findings).toMatchObject([
      { rule: 'boot.firmware', message: 'firmware version is "1.2.3", the policy wants "1.2.4"' },
    ]);
  });

  test('boot.file: kernel, initrd and configuration by their digests', () => {
    expect(judge(rules({ files: '{ allow: [] }' }), recorded(GRUB)).findings.map(({ rule }) => rule)).toEqual(
      ['boot.file', 'boot.file', 'boot.file'],
    );
  });

  test('boot.file: a boot that measured none', () => {
    const none = measuring(GRUB, (events) => events.filter(({ pcr }) => pcr !== 9));
    expect(judge(rules({ files: `{ allow: ['${OTHER}'] }` }), none).findings).toMatchObject([
      { rule: 'boot.file', pcr: 9, message: expect.stringContaining('names no file') },
    ]);
  });

  test('boot.option-rom: code of a device that is loaded late counts as well', () => {
    const late = measuring(GRUB, append(opaque(2, EV.EFI_BOOT_SERVICES_DRIVER)));
    expect(rulesOf(judge(rules({ 'option-roms': 'none' }), late))).toEqual(['boot.option-rom']);
  });

  test('boot.section, boot.override: parts of a unified kernel image, and what is added to it', () => {
    const uki = (more: string) =>
      policy(`{ profile: uki, applications: any, command-line: any, option-roms: any${more} }`);
    expect(
      judge(uki(`, sections: { .cmdline: ['${OTHER}'] }`), recorded('uki-clean')).findings,
    ).toMatchObject([
      { rule: 'boot.section', pcr: 11, message: expect.stringContaining('another section .cmdline') },
    ]);
    expect(judge(uki(`, sections: { .splash: ['${OTHER}'] }`), recorded('uki-clean')).findings).toMatchObject(
      [{ rule: 'boot.section', message: expect.stringContaining('no section .splash') }],
    );
    expect(judge(uki(''), recorded(GRUB)).findings).toMatchObject([
      { rule: 'boot.section', pcr: 11, message: expect.stringContaining('booted another way') },
    ]);
    const addOn = measuring('uki-clean', append(opaque(12, EV.EVENT_TAG)));
    expect(judge(uki(''), addOn).findings).toMatchObject([{ rule: 'boot.override', pcr: 12 }]);
    expect(judge(uki(', overrides: any'), addOn).findings).toEqual([]);
  });
});

describe('boot.rules: command line', () => {
  const line =
    'console=ttyS0 loglevel=6 panic=-1 random.trust_cpu=on tpm_tis.interrupts=0 ima_policy=tcb ima_hash=sha256 ima_template=ima-ng';
  const wanted = (rule: string) => rules({ 'command-line': rule });
  const grub = (text: string) => ({ ...event(8, EV.IPL, ascii(text)), data: ascii(`grub_cmd: ${text}\0`) });

  test('boot.command-line: whole lines, words that must be there, and words that must not', () => {
    expect(
      judge(wanted(`{ any-of: ['${line}'], require: ['ima_hash=*'], forbid: ['init=*'] }`), recorded(GRUB))
        .findings,
    ).toEqual([]);
    for (const rule of ["{ any-of: ['quiet'] }", "{ require: ['quiet'] }", "{ forbid: ['ima_policy=*'] }"]) {
      expect(rulesOf(judge(wanted(rule), recorded(GRUB))), rule).toEqual(['boot.command-line']);
    }
  });

  test('boot.command-line: every kernel that was started counts', () => {
    const first = measuring(GRUB, insert(30, grub('linuxefi (hd0,gpt2)/evil init=/bin/sh')));
    expect(judge(wanted("{ forbid: ['init=*'] }"), first).findings).toMatchObject([
      { rule: 'boot.command-line', pcr: 8, message: expect.stringContaining('"init=/bin/sh"') },
    ]);
  });

  test('boot.command-line: a command line that is called something else is one', () => {
    const renamed = {
      ...event(8, EV.IPL, ascii('/evil init=/bin/sh')),
      data: ascii('module_cmdline: /evil init=/bin/sh\0'),
    };
    expect(rulesOf(judge(wanted("{ forbid: ['init=*'] }"), measuring(GRUB, append(renamed))))).toEqual([
      'boot.command-line',
    ]);
  });

  test.each([
    ["{ forbid: ['init=*'] }", '"init=/bin/sh"'],
    ["{ forbid: ['init=*'] }", 'note="x init=/bin/sh"'],
    ["{ forbid: ['ima_appraise=off'] }", 'ima-appraise=off'],
    ["{ require: ['lockdown=integrity'] }", 'note="x lockdown=integrity"'],
    ["{ require: ['lockdown=integrity'] }", '-- lockdown=integrity'],
  ])('boot.command-line: %s is not got around by %s', (rule, words) => {
    const lines = ['quiet lockdown=integrity', words].map((line) => grub(`linux /vmlinuz ${line}`));
    const { findings } = judge(wanted(rule), measuring(GRUB, append(...lines)));
    const about = (line: string) =>
      findings.filter(({ message }) => message.includes(`linux /vmlinuz ${line}`));
    expect(about('quiet')).toEqual([]);
    expect(about(words)).toMatchObject([{ rule: 'boot.command-line', pcr: 8 }]);
  });

  test('boot.command-line: none was measured', () => {
    const none = measuring(GRUB, (events) => events.filter(({ pcr }) => pcr !== 8));
    expect(judge(wanted("{ require: ['quiet'] }"), none).findings).toMatchObject([
      { rule: 'boot.command-line', message: expect.stringContaining('was not measured') },
    ]);
  });
});

describe('memory', () => {
  test('boot.always: a boot that was judged is not judged again, another one is', () => {
    const memo = new Map<string, BootEvaluation>();
    const off = rules({ 'secure-boot': 'required' });
    judge(off, recorded(GRUB), memo);
    judge(off, recorded(GRUB), memo);
    expect(memo.size).toBe(1);
    const other = measuring(GRUB, replace(3, secureBoot(false)));
    expect(rulesOf(judge(off, other, memo))).toEqual(['boot.secure-boot']);
    expect(rulesOf(judge(off, other, memo))).toEqual(['boot.secure-boot']);
    expect(memo.size).toBe(2);
    const lying = { ...other, log: recorded(GRUB).log };
    expect(rulesOf(judge(off, lying, memo))).toContain('log.replay');
  });
});
