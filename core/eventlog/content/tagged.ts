import { Reader } from '../../bytes/reader.ts';

/** TCG_PCClientTaggedEvent (PC Client Platform Firmware Profile, 10.4.2.1), and Windows' events, which have its form. */
export interface TaggedEvent {
  readonly taggedEventId: number;
  readonly taggedEventData: Uint8Array;
  /** Bytes from the start of the outermost structure to `taggedEventData`. */
  readonly offset: number;
}

/** Numbers of tags that loaders use, each for a digest of what the tag only names. */
export const EVENT_TAG = {
  /** Linux' EFI stub. */
  LINUX_LOAD_OPTIONS: 0x8f3b22ed,
  LINUX_INITRD: 0x8f3b22ec,
  /** systemd-boot and systemd-stub. */
  SYSTEMD_LOADER_CONF: 0xf5bc582a,
  SYSTEMD_DEVICETREE_ADDON: 0x6c46f751,
  SYSTEMD_INITRD_ADDON: 0x49dffe0f,
  SYSTEMD_UCODE_ADDON: 0xdac08e1a,
  SYSTEMD_UKI_PROFILE: 0x13aed6db,
  SYSTEMD_SMBIOS_TYPE1: 0xd5cb7cbc,
  SYSTEMD_SMBIOS_TYPE2: 0xe0d47bc8,
  SYSTEMD_SMBIOS_TYPE11: 0xc0b3bd23,
} as const;

const MAX_TAGS = 10_000;

/**
 * Parses tagged events, one or more.
 *
 * @throws {ParseError} unless the bytes are whole tagged events, at least one
 */
export function parseTaggedEvents(bytes: Uint8Array, offset = 0): readonly TaggedEvent[] {
  const reader = new Reader(bytes, 'TCG_PCClientTaggedEvent', offset);
  const tags: TaggedEvent[] = [];
  do {
    if (tags.length >= MAX_TAGS) reader.fail('taggedEventId', `more than ${MAX_TAGS} tags`);
    const taggedEventId = reader.u32le('taggedEventId');
    const taggedEventData = reader.raw(reader.u32le('taggedEventDataSize'), 'taggedEventData');
    tags.push({ taggedEventId, taggedEventData, offset: reader.offset - taggedEventData.length });
  } while (reader.remaining > 0);
  return tags;
}
