import { toHex } from '../../bytes/encoding.ts';
import { Reader } from '../../bytes/reader.ts';
import { ParseError } from '../../errors.ts';
import { nodeText } from './device-path-text.ts';
import { utf16Text } from './text.ts';

/** EFI_DEVICE_PATH_PROTOCOL (UEFI 2.11, 10.3): one node, or the end of one of several paths. */
export interface DevicePathNode {
  readonly type: number;
  readonly subType: number;
  readonly data: Uint8Array;
  /** Bytes from the start of the outermost structure to `data`. */
  readonly offset: number;
}

const HEADER_BYTES = 4;
const MAX_NODES = 256;
const END = 0x7f;
const END_ENTIRE = 0xff;
const END_INSTANCE = 0x01;
const MEDIA = 0x04;
const FILE_PATH = 0x04;

/**
 * Parses a device path up to its end. An empty one is legal: an image that was loaded from memory has none.
 *
 * @throws {ParseError} unless the bytes are whole nodes with an end, and nothing behind it
 */
export function parseDevicePath(bytes: Uint8Array, offset = 0): readonly DevicePathNode[] {
  const reader = new Reader(bytes, 'EFI_DEVICE_PATH', offset);
  const nodes: DevicePathNode[] = [];
  while (reader.remaining > 0) {
    const node = readNode(reader);
    if (node.type === END && node.subType === END_ENTIRE) {
      reader.end();
      return nodes;
    }
    if (nodes.length >= MAX_NODES) reader.fail('type', `more than ${MAX_NODES} nodes`);
    nodes.push(node);
  }
  if (nodes.length > 0) reader.fail('type', 'has no end');
  return nodes;
}

function readNode(reader: Reader): DevicePathNode {
  const type = reader.u8('type');
  const subType = reader.u8('subType');
  const length = reader.u16le('length');
  if (length < HEADER_BYTES) reader.fail('length', `is ${length}, at least ${HEADER_BYTES} expected`);
  const data = reader.raw(length - HEADER_BYTES, 'data');
  return { type, subType, data, offset: reader.offset - data.length };
}

/**
 * A device path as text (UEFI 2.11, 10.6), for people: never throws, and what it does not know or cannot read it gives
 * in hexadecimal. Chosen by the node: show it through `printable`.
 */
export function renderDevicePath(bytes: Uint8Array): string {
  try {
    const parts: string[] = [];
    let separator = '';
    for (const node of parseDevicePath(bytes)) {
      if (node.type === END) {
        separator = node.subType === END_INSTANCE ? ',' : '/';
        continue;
      }
      parts.push(separator, nodeText(node));
      separator = '/';
    }
    return parts.join('');
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return `malformed ${toHex(bytes)}`;
  }
}

/** The path of the file at the end of a device path, such as `\EFI\BOOT\BOOTX64.EFI`, where it names one. */
export function filePathOf(nodes: readonly DevicePathNode[]): string | undefined {
  const paths = nodes.filter(({ type, subType }) => type === MEDIA && subType === FILE_PATH);
  return paths.length === 0 ? undefined : paths.map(({ data }) => utf16Text(data)).join('\\');
}
