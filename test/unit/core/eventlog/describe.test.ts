import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, Writer } from '../../../../core/bytes/writer.ts';
import { ParseError } from '../../../../core/errors.ts';
import { EVENT_TAG } from '../../../../core/eventlog/content/tagged.ts';
import { VENDOR } from '../../../../core/eventlog/efi/guid.ts';
import { authorityValue, variableValue } from '../../../../core/eventlog/efi/variable-value.ts';
import { EV, eventTypeName } from '../../../../core/eventlog/event-type.ts';
import { describeContent, eventContent, parseEventLog } from '../../../../core/eventlog/index.ts';
import { TPM_ALG } from '../../../../core/tpm/constants.ts';
import { ascii, logBytes, utf16 } from './vectors.ts';

const bank = { alg: TPM_ALG.SHA256, hash: 'sha256', digestBytes: 32 } as const;

function line(type: number, data: Uint8Array): string {
  const digests = [{ bank, digest: hash('sha256', data, 'buffer') }];
  const place = { source: 'firmware', index: 1, offset: 65, dataOffset: 111, pcr: 0 } as const;
  return describeContent(
    eventContent({ ...place, type, typeName: eventTypeName(type), digests, data }, 'sha256'),
  );
}

const lines = (name: string, ...at: readonly number[]) => {
  const { events } = parseEventLog(logBytes(name));
  return at.map((i) => {
    const event = events[i];
    return event && describeContent(eventContent(event, 'sha256'));
  });
};

const tag = (id: number, data: Uint8Array) => new Writer().u32le(id).u32le(data.length).raw(data).bytes();

test('a line for each kind of event of real boots', () => {
  expect(lines('sb-clean-1', 0, 2, 4, 7, 9, 10, 11, 22, 23, 24, 25, 27, 40, 42)).toEqual([
    'Spec ID Event03',
    '917504 bytes at 0x820000',
    'SecureBoot = true',
    expect.stringMatching(/^db = .*Microsoft Windows Production PCA 2011.*; .*UEFI CA 2011/),
    'zeros',
    'BootOrder = 0001, 0000, 0002',
    'Boot0001 = UEFI Misc Device: PciRoot(0x0)/Pci(0x2,0x0)',
    expect.stringMatching(/^db = .*UEFI CA 2011/),
    'disk 0fc63daf-0000-4000-8000-0000000000d1: ESP',
    'PciRoot(0x0)/Pci(0x2,0x0)/HD(1,GPT,0fc63daf-0000-4000-8000-000000000001,0x800,0x30000)/\\x5cEFI\\x5cBOOT\\x5cBOOTX64.EFI, 1048504 bytes',
    'MokList',
    'SbatLevel = sbat 1, shim 4, grub 5',
    expect.stringMatching(/^grub_cmd: linux \/vmlinuz console/),
    'no device path, 14186432 bytes',
  ]);
  expect(lines('uki-clean', 27, 28, 35)).toEqual([
    'section .linux',
    '.linux',
    'tag 0x8f3b22ed LOADED_IMAGE::LoadOptions',
  ]);
  expect(lines('direct-clean-1', 5, 8)).toEqual(['PK = empty', 'dbx = empty']);
});

test('other kinds', () => {
  expect(line(EV.SEPARATOR, Uint8Array.of(1, 0, 0, 0))).toBe('error');
  expect(line(EV.SEPARATOR, ascii('WBCL'))).toBe('"WBCL"');
  expect(line(EV.CPU_MICROCODE, new Uint8Array(40))).toBe(`${'00'.repeat(32)}… (40 bytes)`);
  const tags = concat(tag(0x00050002, ascii('x')), tag(7, Uint8Array.of(1)));
  expect(line(EV.EVENT_TAG, tags)).toBe('CODEINTEGRITY 120, tag 0x7 01');
  expect(
    line(EV.EVENT_TAG, concat(...Array<Uint8Array>(66).fill(tag(0x00050002, ascii(''))))).slice(-10),
  ).toBe('and 2 more');
  expect(line(EV.EVENT_TAG, tag(0x40010001, ascii('abc')))).toMatch(/^malformed: .* at byte 119/);
});

test('what Windows measured, with its values', () => {
  const module = concat(
    tag(0x00070001, utf16('\\winload.efi\0')),
    tag(0x00070002, Uint8Array.of(0, 1, 0, 0)),
  );
  const boundary = tag(0x40010001, concat(tag(0x00050002, Uint8Array.of(1)), tag(0x40010003, module)));
  expect(line(EV.EVENT_TAG, boundary)).toBe(
    'TRUSTBOUNDARY (CODEINTEGRITY 1, LOADEDMODULE_AGGREGATION (FILEPATH \\x5cwinload.efi, IMAGESIZE 256))',
  );
  const trustpoint = tag(0xc0010004, tag(0x80080003, utf16('AIK\0')));
  expect(line(EV.NO_ACTION, trustpoint)).toBe('TRUSTPOINT_AGGREGATION (AIKID AIK)');
  const many = concat(...Array<Uint8Array>(64).fill(tag(9, new Uint8Array(32))));
  const more = concat(...Array<Uint8Array>(64).fill(tag(0x40010001, many)));
  expect(line(EV.EVENT_TAG, tag(0x40010001, more))).toHaveLength(8193);
});

test('tags of systemd are no events of Windows, whatever bits their numbers have', () => {
  for (const id of Object.values(EVENT_TAG)) {
    expect(line(EV.EVENT_TAG, tag(id, ascii('some text')))).toBe(`tag 0x${id.toString(16)} some text`);
  }
});

test('what EV_NO_ACTION tells', () => {
  const padded = (text: string) => concat(ascii(text), new Uint8Array(16 - text.length));
  const short = (text: string) => concat(Uint8Array.of(text.length), ascii(text));
  expect(line(EV.NO_ACTION, concat(padded('StartupLocality'), Uint8Array.of(3)))).toBe('StartupLocality 3');
  expect(line(EV.NO_ACTION, padded('StartupLocality'))).toBe('StartupLocality');
  const platform = concat(
    ...[new Uint8Array(20), short('Maker\0'), short('Model\0'), short('1\0'), short('Firm\0')],
    ...[new Uint8Array(4), short('2.7\0')],
  );
  const event2 = concat(padded('SP800-155 Event2'), platform);
  expect(line(EV.NO_ACTION, event2)).toBe('SP800-155 Event2: Maker Model 1, firmware Firm 2.7');
  const uri = 'https://example.org/rim\0';
  const event3 = concat(
    padded('SP800-155 Event3'),
    platform,
    new Writer().u32le(1).u32le(uri.length).raw(ascii(uri)).bytes(),
  );
  expect(line(EV.NO_ACTION, event3)).toMatch(/ Firm 2\.7, manifest https:\/\/example\.org\/rim$/);
  expect(line(EV.NO_ACTION, event2.subarray(0, 40))).toBe('SP800-155 Event2');
});

test('bytes that are a text are shown as one', () => {
  expect(line(EV.PLATFORM_CONFIG_FLAGS, ascii('ACPI DATA\0'))).toBe('"ACPI DATA"');
  expect(line(EV.PLATFORM_CONFIG_FLAGS, ascii('a\x1bb'))).toBe('611b62');
});

test('an image of shim has bytes behind it', () => {
  const image = new Writer().u32le(0).u32le(0).u32le(512).u32le(0).raw(new Uint8Array(16)).bytes();
  expect(line(EV.EFI_BOOT_SERVICES_APPLICATION, concat(image, new Uint8Array(9).fill(0xaf)))).toBe(
    'no device path, 512 bytes',
  );
});

test('bytes.text: what a node chose is escaped', () => {
  expect(line(EV.ACTION, ascii('a\x1b[2J\nb'))).toBe('a\\x1b[2J\\x0ab');
  expect(line(EV.IPL, utf16('a\u202eb\0'))).toBe('a\\u{202e}b');
  expect(line(EV.IPL, Uint8Array.of(0xff, 0xfe, 0x41))).toBe('\\xff\\xfeA');
});

describe('hostile content', () => {
  const vendor = fc.constantFrom(VENDOR.GLOBAL, VENDOR.SECURITY_DATABASE, VENDOR.SHIM);
  const name = fc.constantFrom(
    'SecureBoot',
    'PK',
    'db',
    'BootOrder',
    'Boot0001',
    'SbatLevel',
    'MokListRT',
    'Shim',
  );

  test('values of variables are read or refused, never anything else', () => {
    fc.assert(
      fc.property(
        vendor,
        name,
        fc.uint8Array({ maxLength: 100 }),
        (variableName, unicodeName, variableData) => {
          for (const read of [variableValue, authorityValue]) {
            try {
              read({ variableName, unicodeName, variableData });
            } catch (error) {
              expect(error).toBeInstanceOf(ParseError);
            }
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test.each(['sb-clean-1', 'uki-clean'])(
    'a changed event of %s still has a line without control characters',
    (name) => {
      const { events } = parseEventLog(logBytes(name));
      const place = fc.tuple(fc.nat(events.length - 1), fc.nat(), fc.nat(255));
      fc.assert(
        fc.property(place, ([number, at, to]) => {
          const event = events[number];
          if (event === undefined || event.data.length === 0) return;
          const data = Uint8Array.from(event.data);
          data[at % data.length] = to;
          // Of its own digest, so that it is read as far as possible.
          const digests = [{ bank, digest: hash('sha256', data, 'buffer') }];
          for (const one of [
            { ...event, data },
            { ...event, data, digests },
          ]) {
            expect(describeContent(eventContent(one, 'sha256'))).toMatch(/^[^\p{Cc}\p{Cs}]*$/u);
          }
        }),
        { numRuns: 1000 },
      );
    },
  );
});
