/** Event types (TCG PC Client Platform Firmware Profile 1.06, 10.4.1, tables 27 and 28; EFI ones are 0x80000000 up). */
export const EV = {
  PREBOOT_CERT: 0x00,
  POST_CODE: 0x01,
  NO_ACTION: 0x03,
  SEPARATOR: 0x04,
  ACTION: 0x05,
  EVENT_TAG: 0x06,
  S_CRTM_CONTENTS: 0x07,
  S_CRTM_VERSION: 0x08,
  CPU_MICROCODE: 0x09,
  PLATFORM_CONFIG_FLAGS: 0x0a,
  TABLE_OF_DEVICES: 0x0b,
  COMPACT_HASH: 0x0c,
  IPL: 0x0d,
  IPL_PARTITION_DATA: 0x0e,
  NONHOST_CODE: 0x0f,
  NONHOST_CONFIG: 0x10,
  NONHOST_INFO: 0x11,
  OMIT_BOOT_DEVICE_EVENTS: 0x12,
  POST_CODE2: 0x13,
  EFI_VARIABLE_DRIVER_CONFIG: 0x80000001,
  EFI_VARIABLE_BOOT: 0x80000002,
  EFI_BOOT_SERVICES_APPLICATION: 0x80000003,
  EFI_BOOT_SERVICES_DRIVER: 0x80000004,
  EFI_RUNTIME_SERVICES_DRIVER: 0x80000005,
  EFI_GPT_EVENT: 0x80000006,
  EFI_ACTION: 0x80000007,
  EFI_PLATFORM_FIRMWARE_BLOB: 0x80000008,
  EFI_HANDOFF_TABLES: 0x80000009,
  EFI_PLATFORM_FIRMWARE_BLOB2: 0x8000000a,
  EFI_HANDOFF_TABLES2: 0x8000000b,
  EFI_VARIABLE_BOOT2: 0x8000000c,
  EFI_GPT_EVENT2: 0x8000000d,
  EFI_HCRTM_EVENT: 0x80000010,
  EFI_VARIABLE_AUTHORITY: 0x800000e0,
  EFI_SPDM_FIRMWARE_BLOB: 0x800000e1,
  EFI_SPDM_FIRMWARE_CONFIG: 0x800000e2,
  EFI_SPDM_DEVICE_POLICY: 0x800000e3,
  EFI_SPDM_DEVICE_AUTHORITY: 0x800000e4,
} as const;

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(EV).map(([name, value]) => [value, `EV_${name}`]),
);

/** The TCG's name of an event type, such as `EV_SEPARATOR`; `unknown 0x…` for a number it has not assigned. */
export function eventTypeName(type: number): string {
  return NAMES.get(type) ?? `unknown 0x${type.toString(16)}`;
}

/** Whether the TCG has given the number a meaning. */
export function isKnownEventType(type: number): boolean {
  return NAMES.has(type);
}

const NUMBERS: ReadonlyMap<string, number> = new Map(
  Object.entries(EV).map(([name, type]) => [`EV_${name}`, type]),
);

/** The number of a TCG's name such as `EV_SEPARATOR`. */
export function eventTypeOf(name: string): number | undefined {
  return NUMBERS.get(name);
}
