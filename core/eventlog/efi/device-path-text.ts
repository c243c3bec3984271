import { toHex } from '../../bytes/encoding.ts';
import { Reader } from '../../bytes/reader.ts';
import { ParseError } from '../../errors.ts';
import type { DevicePathNode } from './device-path.ts';
import { readGuid } from './guid.ts';
import { byteText, utf16Text } from './text.ts';

type Render = (reader: Reader) => string;

const hex = (value: number | bigint): string => `0x${value.toString(16).toUpperCase()}`;
const TYPE_NAMES = ['', 'HardwarePath', 'AcpiPath', 'Msg', 'MediaPath', 'BbsPath'];

// UEFI 2.11, 10.6.1.5, by type and subtype. Nodes that are seldom in a boot path are given as type, subtype and hex.
const NODES: ReadonlyMap<number, Render> = new Map<number, Render>([
  [0x0101, (r) => swapped(r, (fn, device) => `Pci(${hex(device)},${hex(fn)})`)],
  [0x0102, (r) => `PcCard(${hex(r.u8('function'))})`],
  [0x0103, (r) => `MemoryMapped(${hex(r.u32le('type'))},${hex(r.u64le('start'))},${hex(r.u64le('end'))})`],
  [0x0104, (r) => vendor('VenHw', r)],
  [0x0105, (r) => `Ctrl(${hex(r.u32le('controller'))})`],
  [0x0201, acpi],
  [0x0203, (r) => `AcpiAdr(${hex(r.u32le('adr'))})`],
  [
    0x0301,
    (r) =>
      `Ata(${r.u8('primary') ? 'Secondary' : 'Primary'},${r.u8('slave') ? 'Slave' : 'Master'},${hex(r.u16le('lun'))})`,
  ],
  [0x0302, (r) => `Scsi(${hex(r.u16le('target'))},${hex(r.u16le('lun'))})`],
  [0x0305, (r) => `USB(${hex(r.u8('port'))},${hex(r.u8('interface'))})`],
  [0x030a, (r) => vendor('VenMsg', r)],
  [0x030b, mac],
  [0x030c, ipv4],
  [0x0311, (r) => `Unit(${hex(r.u8('lun'))})`],
  [0x0312, (r) => `Sata(${hex(r.u16le('hba'))},${hex(r.u16le('multiplier'))},${hex(r.u16le('lun'))})`],
  [0x0317, (r) => `NVMe(${hex(r.u32le('namespace'))},${eui64(r)})`],
  [0x0318, (r) => `Uri(${byteText(r.raw(r.remaining, 'uri'))})`],
  [0x0319, (r) => `UFS(${hex(r.u8('target'))},${hex(r.u8('lun'))})`],
  [0x031a, (r) => `SD(${hex(r.u8('slot'))})`],
  [0x031d, (r) => `eMMC(${hex(r.u8('slot'))})`],
  [0x0401, hardDrive],
  [0x0402, (r) => `CDROM(${hex(r.u32le('entry'))},${hex(r.u64le('start'))},${hex(r.u64le('size'))})`],
  [0x0403, (r) => vendor('VenMedia', r)],
  [0x0404, (r) => utf16Text(r.raw(r.remaining, 'pathName'))],
  [0x0405, (r) => `Media(${readGuid(r, 'protocol')})`],
  [0x0406, (r) => `FvFile(${readGuid(r, 'fvFile')})`],
  [0x0407, (r) => `Fv(${readGuid(r, 'fv')})`],
  [0x0408, offsetRange],
  [0x0409, ramDisk],
  [0x0501, bbs],
]);

/** One node of a device path as text: what it does not know, or what does not have the form of its type, in hex. */
export function nodeText({ type, subType, data, offset }: DevicePathNode): string {
  const render = NODES.get((type << 8) | subType);
  const plain = () => `${TYPE_NAMES[type] || `Path${hex(type)}`}(${subType},${toHex(data)})`;
  if (render === undefined) return plain();
  try {
    const reader = new Reader(data, 'EFI_DEVICE_PATH', offset);
    const text = render(reader);
    return reader.remaining === 0 ? text : plain();
  } catch (error) {
    if (error instanceof ParseError) return plain();
    throw error;
  }
}

function swapped(reader: Reader, text: (first: number, second: number) => string): string {
  const first = reader.u8('function');
  return text(first, reader.u8('device'));
}

function vendor(name: string, reader: Reader): string {
  const guid = readGuid(reader, 'vendorGuid');
  const rest = reader.raw(reader.remaining, 'vendorData');
  return rest.length === 0 ? `${name}(${guid})` : `${name}(${guid},${toHex(rest)})`;
}

const PNP = 0x41d0;

function acpi(reader: Reader): string {
  const hid = reader.u32le('hid');
  const uid = reader.u32le('uid');
  const product = hid >>> 16;
  if ((hid & 0xffff) !== PNP) return `Acpi(${hex(hid)},${hex(uid)})`;
  const pnp = product.toString(16).toUpperCase().padStart(4, '0');
  if (product === 0x0a03) return `PciRoot(${hex(uid)})`;
  return product === 0x0a08 ? `PcieRoot(${hex(uid)})` : `Acpi(PNP${pnp},${hex(uid)})`;
}

function mac(reader: Reader): string {
  const address = reader.raw(32, 'macAddress');
  const type = reader.u8('ifType');
  return `MAC(${toHex(address.subarray(0, type <= 1 ? 6 : 32))},${hex(type)})`;
}

function ipv4(reader: Reader): string {
  const local = reader.raw(4, 'localIp').join('.');
  const remote = reader.raw(4, 'remoteIp').join('.');
  const ports = `${reader.u16le('localPort')},${reader.u16le('remotePort')}`;
  const protocol = reader.u16le('protocol');
  reader.raw(reader.remaining, 'staticIp');
  return `IPv4(${remote},${protocol},${local},${ports})`;
}

function eui64(reader: Reader): string {
  return toHex(reader.raw(8, 'eui64').slice().reverse()).match(/../g)?.join('-').toUpperCase() ?? '';
}

function hardDrive(reader: Reader): string {
  const partition = reader.u32le('partitionNumber');
  const start = reader.u64le('partitionStart');
  const size = reader.u64le('partitionSize');
  const signature = reader.raw(16, 'partitionSignature');
  const format = reader.u8('partitionFormat');
  const signatureType = reader.u8('signatureType');
  const id =
    signatureType === 2
      ? readGuid(new Reader(signature, 'signature'), 'guid')
      : toHex(signatureType === 1 ? signature.slice(0, 4).reverse() : signature);
  const table = ['', 'MBR', 'GPT'][format] || hex(format);
  return `HD(${partition},${table},${id},${hex(start)},${hex(size)})`;
}

function offsetRange(reader: Reader): string {
  reader.u32le('reserved');
  return `Offset(${hex(reader.u64le('start'))},${hex(reader.u64le('end'))})`;
}

function ramDisk(reader: Reader): string {
  const start = reader.u64le('start');
  const end = reader.u64le('end');
  const guid = readGuid(reader, 'diskType');
  return `RamDisk(${hex(start)},${hex(end)},${reader.u16le('instance')},${guid})`;
}

function bbs(reader: Reader): string {
  const type = reader.u16le('deviceType');
  const flags = reader.u16le('statusFlag');
  return `BBS(${hex(type)},${byteText(reader.raw(reader.remaining, 'description'))},${hex(flags)})`;
}
