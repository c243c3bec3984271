import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, Writer } from '../../../../../core/bytes/writer.ts';
import {
  filePathOf,
  parseDevicePath,
  renderDevicePath,
} from '../../../../../core/eventlog/efi/device-path.ts';
import { parseGptData } from '../../../../../core/eventlog/efi/gpt.ts';
import { parseImageLoadEvent } from '../../../../../core/eventlog/efi/image-load.ts';
import { parseEventLog } from '../../../../../core/eventlog/parse.ts';
import { ascii, logBytes, parseErrorOf, unhex, utf16 } from '../vectors.ts';

const node = (type: number, subType: number, data: Uint8Array | string) => {
  const bytes = typeof data === 'string' ? unhex(data) : data;
  return new Writer()
    .u8(type)
    .u8(subType)
    .u16le(bytes.length + 4)
    .raw(bytes)
    .bytes();
};
const END = node(0x7f, 0xff, '');
const GUID = 'bd9afa775903324dbd6028f4e78f784b';
const OWNER = '77fa9abd-0359-4d32-bd60-28f4e78f784b';

const dataOf = (name: string, at: number) =>
  parseEventLog(logBytes(name)).events[at]?.data ?? new Uint8Array();

describe('device paths', () => {
  test('of the image that a real boot loaded', () => {
    const { devicePath, imageLengthInMemory } = parseImageLoadEvent(dataOf('sb-clean-1', 24));
    expect(imageLengthInMemory).toBe(0xfffb8n);
    expect(renderDevicePath(devicePath)).toBe(
      'PciRoot(0x0)/Pci(0x2,0x0)/HD(1,GPT,0fc63daf-0000-4000-8000-000000000001,0x800,0x30000)/\\EFI\\BOOT\\BOOTX64.EFI',
    );
    expect(filePathOf(parseDevicePath(devicePath))).toBe('\\EFI\\BOOT\\BOOTX64.EFI');
  });

  test.each([
    [node(1, 4, GUID), `VenHw(${OWNER})`],
    [node(1, 3, '0b0000000010000000000000ff1f000000000000'), 'MemoryMapped(0xB,0x1000,0x1FFF)'],
    [node(2, 1, 'd041080a01000000'), 'PcieRoot(0x1)'],
    [node(2, 1, 'd041040600000000'), 'Acpi(PNP0604,0x0)'],
    [node(2, 1, '0100000000000000'), 'Acpi(0x1,0x0)'],
    [node(3, 1, '01000200'), 'Ata(Secondary,Master,0x2)'],
    [node(3, 2, '01000200'), 'Scsi(0x1,0x2)'],
    [node(3, 5, '0102'), 'USB(0x1,0x2)'],
    [node(3, 11, `525400123456${'00'.repeat(26)}01`), 'MAC(525400123456,0x1)'],
    [node(3, 12, '0a000001c0a80001901f500006000000'), 'IPv4(192.168.0.1,6,10.0.0.1,8080,80)'],
    [node(3, 18, '00000100ffff'), 'Sata(0x0,0x1,0xFFFF)'],
    [node(3, 23, '010000000123456789abcdef'), 'NVMe(0x1,EF-CD-AB-89-67-45-23-01)'],
    [node(3, 24, ascii('http://boot')), 'Uri(http://boot)'],
    [node(4, 1, `01000000${'00'.repeat(16)}78563412${'00'.repeat(12)}0101`), 'HD(1,MBR,12345678,0x0,0x0)'],
    [node(4, 3, `${GUID}0102`), `VenMedia(${OWNER},0102)`],
    [node(4, 4, utf16('\\a.efi\0')), '\\a.efi'],
    [node(4, 6, GUID), `FvFile(${OWNER})`],
    [node(4, 7, GUID), `Fv(${OWNER})`],
    [node(4, 9, `${'00'.repeat(16)}${GUID}0000`), `RamDisk(0x0,0x0,0,${OWNER})`],
    [node(5, 1, '010000004844'), 'BBS(0x1,HD,0x0)'],
    // Unknown, and known types without their form.
    [node(3, 99, '0102'), 'Msg(99,0102)'],
    [node(9, 1, ''), 'Path0x9(1,)'],
    [node(1, 1, '0102ff'), 'HardwarePath(1,0102ff)'],
    [node(4, 1, '01'), 'MediaPath(1,01)'],
  ])('a node %# as text', (bytes, text) => {
    expect(renderDevicePath(concat(bytes, END))).toBe(text);
  });

  test('several paths stand with commas', () => {
    const usb = node(3, 5, '0102');
    const both = concat(usb, usb, node(0x7f, 1, ''), usb, END);
    expect(renderDevicePath(both)).toBe('USB(0x1,0x2)/USB(0x1,0x2),USB(0x1,0x2)');
  });

  test('an empty path is legal', () => {
    expect(parseDevicePath(new Uint8Array())).toEqual([]);
    expect(filePathOf([])).toBeUndefined();
  });

  test.each([
    ['no end', node(3, 5, '0102'), 'type'],
    ['bytes behind the end', concat(END, ascii('x')), 'end'],
    ['a length below four', Uint8Array.of(1, 1, 3, 0), 'length'],
    ['a length of zero', Uint8Array.of(1, 1, 0, 0), 'length'],
    ['a length past the end', Uint8Array.of(1, 1, 9, 0, 1), 'data'],
    ['half a header', Uint8Array.of(1, 1, 4), 'length'],
    ['too many nodes', concat(...Array.from({ length: 257 }, () => node(1, 1, '')), END), 'type'],
  ])('bytes.bounds: %s is refused, and shown in hex', (_, bytes, field) => {
    expect(parseErrorOf(() => parseDevicePath(bytes)).field).toBe(`EFI_DEVICE_PATH.${field}`);
    expect(renderDevicePath(bytes)).toMatch(/^malformed [0-9a-f]+$/);
  });

  test('any bytes have a text', () => {
    const any = fc.array(fc.tuple(fc.nat(6), fc.nat(30), fc.uint8Array({ maxLength: 50 })), { maxLength: 8 });
    fc.assert(
      fc.property(any, (parts) => {
        const bytes = concat(...parts.map(([type, subType, data]) => node(type, subType, data)), END);
        expect(renderDevicePath(bytes)).not.toMatch(/^malformed/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('UEFI_IMAGE_LOAD_EVENT', () => {
  test('bytes.bounds: a path longer than the event is refused; bytes behind it are let be', () => {
    const bytes = dataOf('sb-clean-1', 24);
    const longer = Uint8Array.from(bytes);
    longer[24] = (longer[24] ?? 0) + 1;
    expect(parseErrorOf(() => parseImageLoadEvent(longer)).field).toBe(
      'UEFI_IMAGE_LOAD_EVENT.lengthOfDevicePath',
    );
    expect(parseImageLoadEvent(concat(bytes, ascii('x')))).toEqual(parseImageLoadEvent(bytes));
  });
});

describe('UEFI_GPT_DATA', () => {
  const bytes = dataOf('sb-clean-1', 23);
  const changed = (at: number, ...by: readonly number[]) => {
    const out = Uint8Array.from(bytes);
    out.set(by, at);
    return out;
  };

  test('of the disk that a real boot came from', () => {
    const { diskGuid, partitions } = parseGptData(bytes);
    expect(diskGuid).toBe('0fc63daf-0000-4000-8000-0000000000d1');
    expect(partitions).toMatchObject([
      {
        partitionTypeGuid: 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b',
        startingLba: 2048n,
        partitionName: 'ESP',
      },
    ]);
  });

  test.each([
    ['another signature', changed(0, 0), 'signature'],
    ['another header', changed(12, 93), 'headerSize'],
    ['small entries', changed(84, 127), 'sizeOfPartitionEntry'],
    ['huge entries', changed(84, 0, 0, 1), 'sizeOfPartitionEntry'],
    ['many partitions', changed(92, 0xff, 0xff), 'numberOfPartitions'],
    ['fewer partitions', changed(92, 0), 'end'],
    ['a cut', bytes.subarray(0, 200), 'partitionName'],
  ])('bytes.bounds: %s is refused', (_, data, field) => {
    expect(parseErrorOf(() => parseGptData(data)).field).toBe(`UEFI_GPT_DATA.${field}`);
  });
});
