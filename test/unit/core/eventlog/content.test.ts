import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, Writer } from '../../../../core/bytes/writer.ts';
import { eventContent } from '../../../../core/eventlog/content/content.ts';
import { EVENT_TAG } from '../../../../core/eventlog/content/tagged.ts';
import type { EventContent } from '../../../../core/eventlog/content/types.ts';
import type { LogEvent } from '../../../../core/eventlog/event.ts';
import { EV, eventTypeName } from '../../../../core/eventlog/event-type.ts';
import { parseEventLog } from '../../../../core/eventlog/parse.ts';
import { TPM_ALG } from '../../../../core/tpm/constants.ts';
import { ascii, index, logBytes, utf16 } from './vectors.ts';

const bank = { alg: TPM_ALG.SHA256, hash: 'sha256', digestBytes: 32 } as const;
const sha256 = (bytes: Uint8Array) => hash('sha256', bytes, 'buffer');

/** The content of an event whose digest is of `measured`. */
function content(
  type: number,
  data: Uint8Array,
  measured: Uint8Array = ascii('something else'),
): EventContent {
  return eventContent(eventOf(type, data, measured), 'sha256');
}

function eventOf(type: number, data: Uint8Array, measured: Uint8Array): LogEvent {
  const digests = [{ bank, digest: sha256(measured) }];
  const place = { source: 'firmware' as const, index: 1, offset: 65, dataOffset: 111, pcr: 0 };
  return { ...place, type, typeName: eventTypeName(type), digests, data };
}

const event = (name: string, at: number): LogEvent => {
  const found = parseEventLog(logBytes(name)).events[at];
  if (found === undefined) throw new Error(`${name} has no event ${at}`);
  return found;
};

const variable = (name: string, value: Uint8Array) =>
  new Writer()
    .raw(new Uint8Array(16).fill(1))
    .u32le(name.length)
    .u32le(0)
    .u32le(value.length)
    .u32le(0)
    .raw(utf16(name))
    .raw(value)
    .bytes();

const tag = (id: number, data: Uint8Array) => new Writer().u32le(id).u32le(data.length).raw(data).bytes();

// What the digests of all events of all boots are of, by type. Found by another program.
const EXTERNAL = new Set([
  'EV_EFI_BOOT_SERVICES_APPLICATION',
  'EV_EFI_PLATFORM_FIRMWARE_BLOB',
  'EV_NO_ACTION',
]);

describe('log.payload: the digests of real logs', () => {
  test.each(Object.entries(index.boots))('%s: each event is covered as its type says', (name, { banks }) => {
    for (const event of parseEventLog(logBytes(name)).events) {
      for (const bank of banks) {
        const { verified, covers, ...rest } = eventContent(event, bank);
        const why = 'why' in rest ? rest.why : undefined;
        if (verified) {
          expect(EXTERNAL).not.toContain(event.typeName);
          expect(['external', 'none']).not.toContain(covers);
        } else {
          expect([...EXTERNAL, 'EV_IPL', 'EV_EVENT_TAG']).toContain(event.typeName);
          expect(why).toBe(event.type === EV.NO_ACTION ? 'none' : 'external');
        }
      }
    }
  });

  test('what GRUB, shim and systemd-stub measure', () => {
    const kinds = (name: string, from: number, to: number) =>
      parseEventLog(logBytes(name))
        .events.slice(from, to)
        .map((event) => {
          const { kind, covers } = eventContent(event, 'sha256');
          return `${event.pcr} ${kind} ${covers}`;
        });
    expect(kinds('sb-clean-1', 25, 36)).toEqual([
      '14 text external', // MokList
      '14 text external', // MokListX
      '7 authority data', // SbatLevel
      '14 text external', // MokListTrusted
      '7 authority data', // MokListRT
      '4 image external', // grubx64.efi
      '8 text text',
      '8 text text',
      '8 text text',
      '8 text text',
      '9 text external', // grub.cfg
    ]);
    expect(kinds('uki-clean', 25, 31)).toEqual([
      '4 image external',
      '12 text data', // the command line
      '11 section section-name',
      '11 text external', // the kernel
      '11 section section-name',
      '11 text external',
    ]);
  });

  test('GRUB of RHEL 8: labels without a colon, and commands hashed with their NUL', () => {
    const command = content(EV.IPL, ascii('grub_cmd set timeout=5\0'), ascii('set timeout=5\0'));
    expect(command).toMatchObject({ verified: true, covers: 'text', proven: { text: 'set timeout=5' } });
    expect(command).toMatchObject({ unverified: { label: 'grub_cmd' } });
    const line = content(EV.IPL, ascii('grub_kernel_cmdline /vmlinuz ro\0'), ascii('/vmlinuz ro'));
    expect(line).toMatchObject({ verified: true, proven: { text: '/vmlinuz ro' } });
    expect(line).toMatchObject({ unverified: { label: 'kernel_cmdline' } });
    expect(content(EV.IPL, ascii('grub_cmd set x\0'), ascii('set y\0'))).toMatchObject({ why: 'mismatch' });
  });

  test('old systemd-boot: a command line in UTF-16 whose NUL is cut in the log', () => {
    const line = utf16('initrd=\\initrd root=/dev/sda2\0');
    expect(content(EV.IPL, line.subarray(0, -1), line)).toMatchObject({
      ...{ kind: 'text', verified: true, covers: 'text' },
      ...{ proven: { text: 'initrd=\\initrd root=/dev/sda2' }, unverified: { encoding: 'utf-16' } },
    });
    expect(content(EV.IPL, line.subarray(0, -1), utf16('other\0'))).toMatchObject({ verified: false });
    expect(content(EV.IPL, line.subarray(0, -2).subarray(0, -1), line)).toMatchObject({ verified: false });
  });

  test('the command line that GRUB gives to the kernel is proven, its label is not', () => {
    expect(eventContent(event('sb-clean-1', 44), 'sha256')).toEqual({
      kind: 'text',
      verified: true,
      covers: 'text',
      proven: { text: expect.stringMatching(/^\/vmlinuz console=ttyS0 .*ima_template=ima-ng$/) },
      unverified: { label: 'kernel_cmdline', encoding: 'utf-8' },
    });
  });

  test('log.payload: a command line that was changed in the log is not proven, though the log replays', () => {
    const found = eventContent(event('ev-grub-cmdline-text-faked', 44), 'sha256');
    expect(found).toMatchObject({ kind: 'text', verified: false, covers: 'text', why: 'mismatch' });
    expect(found).not.toHaveProperty('proven');
  });

  test('a bank in which the event has no digest proves nothing', () => {
    expect(eventContent(event('sb-clean-1', 4), 'sha512')).toMatchObject({
      verified: false,
      why: 'no-digest',
    });
  });

  // Bytes that nothing covers can be anything: then what is proven must stay the same.
  test.each(['sb-clean-1', 'uki-clean', 'direct-clean-1', 'bios-seabios'])(
    'log.payload: no changed byte of an event of %s changes what is proven',
    (name) => {
      const { events } = parseEventLog(logBytes(name));
      const place = fc.tuple(fc.nat(events.length - 1), fc.nat(), fc.integer({ min: 1, max: 255 }));
      fc.assert(
        fc.property(place, ([number, at, by]) => {
          const event = events[number];
          if (event === undefined || event.data.length === 0) return;
          const before = eventContent(event, 'sha256');
          const data = Uint8Array.from(event.data);
          data[at % data.length] = (data[at % data.length] ?? 0) ^ by;
          const after = eventContent({ ...event, data }, 'sha256');
          if (after.verified) expect(after).toMatchObject({ proven: before.verified && before.proven });
        }),
        { numRuns: 3000 },
      );
    },
  );
});

describe('rules of single types', () => {
  const value = ascii('value');
  const data = variable('Boot0001', value);

  test.each([EV.EFI_VARIABLE_DRIVER_CONFIG, EV.EFI_VARIABLE_BOOT2])(
    'a variable of type %i is proven with its name or not at all',
    (type) => {
      expect(content(type, data, data)).toMatchObject({
        kind: 'variable',
        covers: 'data',
        proven: { unicodeName: 'Boot0001', variableData: value },
      });
      expect(content(type, data, value)).toMatchObject({ verified: false, why: 'mismatch' });
    },
  );

  test('of EV_EFI_VARIABLE_BOOT the value is proven and the name is not', () => {
    const found = content(EV.EFI_VARIABLE_BOOT, data, value);
    expect(found).toMatchObject({ kind: 'variable-value', verified: true, proven: { variableData: value } });
    expect(found).toMatchObject({ unverified: { unicodeName: 'Boot0001' } });
    expect(content(EV.EFI_VARIABLE_BOOT, data, data)).toMatchObject({ kind: 'variable', covers: 'data' });
    expect(content(EV.EFI_VARIABLE_BOOT, data)).toMatchObject({ verified: false, why: 'mismatch' });
  });

  test('an authority is proven only as a whole', () => {
    expect(content(EV.EFI_VARIABLE_AUTHORITY, data, data).verified).toBe(true);
    expect(content(EV.EFI_VARIABLE_AUTHORITY, data, value)).toMatchObject({ why: 'mismatch' });
  });

  test('an authority of shim 15: six bytes behind the variable, five of them measured', () => {
    const measured = concat(data, new Uint8Array(5));
    const logged = concat(measured, Uint8Array.of(0xaf));
    expect(content(EV.EFI_VARIABLE_AUTHORITY, logged, measured)).toMatchObject({
      ...{ kind: 'authority', verified: true, covers: 'data-without-last' },
      proven: { unicodeName: 'Boot0001', variableData: value },
    });
    for (const of of [logged, data, value]) {
      expect(content(EV.EFI_VARIABLE_AUTHORITY, logged, of)).toMatchObject({ why: 'mismatch' });
    }
    expect(content(EV.EFI_VARIABLE_AUTHORITY, measured, measured)).toMatchObject({ why: 'malformed' });
    // Of no other type.
    expect(content(EV.EFI_VARIABLE_DRIVER_CONFIG, logged, measured)).toMatchObject({ why: 'malformed' });
  });

  test.each([EV.EFI_BOOT_SERVICES_APPLICATION, EV.EFI_BOOT_SERVICES_DRIVER, EV.EFI_RUNTIME_SERVICES_DRIVER])(
    'an image of type %i is never proven by the log, not even when the digest is of the data',
    (type) => {
      const image = new Writer().raw(new Uint8Array(24)).u32le(0).u32le(0).bytes();
      expect(content(type, image, image)).toMatchObject({
        kind: 'image',
        verified: false,
        covers: 'external',
      });
    },
  );

  test.each([
    ['zeros', new Uint8Array(4)],
    ['ones', new Uint8Array(4).fill(0xff)],
    ['other', ascii('WBCL')],
    ['other', new Uint8Array(5)],
  ])('a separator of %s', (meaning, bytes) => {
    expect(content(EV.SEPARATOR, bytes, bytes)).toMatchObject({
      kind: 'separator',
      verified: true,
      proven: { meaning },
    });
    expect(content(EV.SEPARATOR, bytes)).toMatchObject({ verified: false, why: 'mismatch' });
  });

  test('a separator whose digest is that of an error is one, whatever the data says', () => {
    const error = content(EV.SEPARATOR, new Uint8Array(4), Uint8Array.of(1, 0, 0, 0));
    expect(error).toMatchObject({ kind: 'separator-error', verified: true, proven: { meaning: 'error' } });
  });

  test.each([EV.ACTION, EV.EFI_ACTION, EV.OMIT_BOOT_DEVICE_EVENTS])(
    'an action of type %i is its text',
    (type) => {
      const text = ascii('Exit Boot Services Invocation\0');
      expect(content(type, text, text)).toMatchObject({
        covers: 'data',
        proven: { text: 'Exit Boot Services Invocation' },
      });
      expect(content(type, text, text.subarray(0, -1))).toMatchObject({ covers: 'data-without-nul' });
      expect(content(type, text)).toMatchObject({ verified: false, why: 'mismatch' });
    },
  );

  test('EV_IPL: only the label is left out of the digest', () => {
    const text = ascii('module_cmdline: a b\0');
    expect(content(EV.IPL, text, ascii('a b'))).toMatchObject({
      proven: { text: 'a b' },
      unverified: { label: 'module_cmdline' },
    });
    expect(content(EV.IPL, text, ascii('b'))).toMatchObject({ verified: false, why: 'mismatch' });
    expect(content(EV.IPL, text, text)).toMatchObject({ verified: false, why: 'mismatch' });
  });

  test('EV_IPL in UTF-16, with and without its NUL', () => {
    const text = utf16('root=/dev/vda\0');
    expect(content(EV.IPL, text, text)).toMatchObject({ proven: { text: 'root=/dev/vda' } });
    expect(content(EV.IPL, text, text.subarray(0, -2))).toMatchObject({ covers: 'data-without-nul' });
    expect(content(EV.IPL, text, ascii('root=/dev/vda\0'))).toMatchObject({
      verified: false,
      why: 'external',
    });
    expect(content(EV.IPL, utf16('.linux\0'), ascii('.linux\0'))).toMatchObject({
      kind: 'section',
      proven: { name: '.linux' },
    });
    expect(content(EV.IPL, utf16('.linux\0'), ascii('.linux'))).toMatchObject({ verified: false });
  });

  test('EV_EVENT_TAG: all, or the data of the only tag, or what it names', () => {
    const one = tag(EVENT_TAG.LINUX_INITRD, ascii('Linux initrd\0'));
    expect(content(EV.EVENT_TAG, one)).toMatchObject({ kind: 'tags', verified: false, why: 'external' });
    expect(content(EV.EVENT_TAG, one, one)).toMatchObject({ kind: 'tags', verified: true, covers: 'data' });
    expect(content(EV.EVENT_TAG, one, ascii('Linux initrd\0'))).toMatchObject({
      kind: 'tag-data',
      covers: 'tagged-data',
      unverified: { taggedEventId: EVENT_TAG.LINUX_INITRD },
    });
    const two = concat(one, tag(7, ascii('x')));
    expect(content(EV.EVENT_TAG, two, ascii('Linux initrd\0'))).toMatchObject({ verified: false });
    expect(content(EV.EVENT_TAG, two, two)).toMatchObject({ proven: [{}, { taggedEventId: 7 }] });
  });

  test('bytes.bounds: 10,000 tags are read, and no more', () => {
    const tags = concat(...Array<Uint8Array>(10_000).fill(tag(7, new Uint8Array())));
    expect(content(EV.EVENT_TAG, tags, tags)).toMatchObject({ kind: 'tags', verified: true });
    const more = concat(tags, tag(7, new Uint8Array()));
    expect(content(EV.EVENT_TAG, more, more)).toMatchObject({ kind: 'bytes', why: 'malformed' });
  });

  test.each([EV.POST_CODE, EV.S_CRTM_CONTENTS, EV.EFI_PLATFORM_FIRMWARE_BLOB])(
    'code of type %i is named by a text or a place, and its digest is of the code',
    (type) => {
      expect(content(type, ascii('ACPI DATA'))).toMatchObject({
        kind: 'text',
        why: 'external',
        unverified: { text: 'ACPI DATA' },
      });
      const blob = new Writer().u32le(0x100).u32le(0).u32le(0x200).u32le(0).bytes();
      expect(content(type, blob)).toMatchObject({
        kind: 'firmware-blob',
        why: 'external',
        unverified: { blobBase: 0x100n, blobLength: 0x200n, blobDescription: undefined },
      });
    },
  );

  test.each([EV.POST_CODE2, EV.EFI_PLATFORM_FIRMWARE_BLOB2])('code of type %i has a description', (type) => {
    const blob = concat(Uint8Array.of(3), ascii('FV1'), new Uint8Array(16));
    expect(content(type, blob)).toMatchObject({
      kind: 'firmware-blob',
      why: 'external',
      unverified: { blobDescription: 'FV1' },
    });
  });

  test('tables that are handed over', () => {
    const entry = new Writer().raw(new Uint8Array(16).fill(2)).u32le(0x1000).u32le(0).bytes();
    const tables = new Writer().u32le(1).u32le(0).raw(entry).bytes();
    expect(content(EV.EFI_HANDOFF_TABLES, tables, tables)).toMatchObject({
      kind: 'handoff-tables',
      verified: false,
      unverified: { tables: [{ vendorTable: 0x1000n }] },
    });
    expect(content(EV.EFI_HANDOFF_TABLES2, concat(Uint8Array.of(2), ascii('SM'), tables))).toMatchObject({
      unverified: { tableDescription: 'SM', tables: [{ vendorTable: 0x1000n }] },
    });
  });

  test('a version of the CRTM', () => {
    const version = utf16('1.02\0');
    expect(content(EV.S_CRTM_VERSION, version, version)).toMatchObject({ proven: { text: '1.02' } });
    expect(content(EV.S_CRTM_VERSION, version)).toMatchObject({ verified: false, why: 'mismatch' });
    const guid = Uint8Array.of(0x80, 1, 2, 3);
    expect(content(EV.S_CRTM_VERSION, guid, guid)).toMatchObject({ kind: 'bytes', proven: { data: guid } });
  });

  test.each([EV.CPU_MICROCODE, EV.PLATFORM_CONFIG_FLAGS, EV.EFI_SPDM_FIRMWARE_BLOB, 0x12345])(
    'data of type %i counts where the digest is of it',
    (type) => {
      const bytes = Uint8Array.of(1, 2, 3);
      expect(content(type, bytes, bytes)).toMatchObject({
        kind: 'bytes',
        verified: true,
        proven: { data: bytes },
      });
      expect(content(type, bytes)).toMatchObject({ kind: 'bytes', verified: false, why: 'external' });
    },
  );

  test('EV_NO_ACTION is never proven, whatever its digest is', () => {
    const bytes = ascii('SP800-155 Event3and more');
    expect(content(EV.NO_ACTION, bytes, bytes)).toMatchObject({
      kind: 'no-action',
      verified: false,
      why: 'none',
      unverified: { signature: 'SP800-155 Event3' },
    });
  });

  test.each([
    ['a variable', EV.EFI_VARIABLE_DRIVER_CONFIG],
    ['a boot variable', EV.EFI_VARIABLE_BOOT],
    ['an image', EV.EFI_BOOT_SERVICES_APPLICATION],
    ['a partition table', EV.EFI_GPT_EVENT],
    ['a tag', EV.EVENT_TAG],
    ['a blob', EV.EFI_PLATFORM_FIRMWARE_BLOB2],
    ['tables', EV.EFI_HANDOFF_TABLES],
  ])('%s without its form is malformed and not proven, even where the digest is of the data', (_, type) => {
    const bytes = Uint8Array.of(200, 1, 2);
    expect(content(type, bytes, bytes)).toEqual({
      kind: 'bytes',
      verified: false,
      covers: 'data',
      why: 'malformed',
      unverified: { data: bytes },
    });
    expect(content(type, bytes)).toMatchObject({ covers: 'external', why: 'malformed' });
  });

  test('bytes that are arbitrary never throw', () => {
    const types = fc.constantFrom(...Object.values(EV));
    fc.assert(
      fc.property(types, fc.uint8Array({ maxLength: 120 }), fc.boolean(), (type, bytes, fits) => {
        const { verified } = content(type, bytes, fits ? bytes : ascii('no'));
        if (!fits) expect(verified).toBe(false);
      }),
      { numRuns: 3000 },
    );
  });
});
