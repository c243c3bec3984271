import type { Reader } from '../../../core/bytes/reader.ts';
import { Writer } from '../../../core/bytes/writer.ts';
import { hashNameOf, TPM_CAP, TPM_CC, TPM_PT } from '../../../core/tpm/constants.ts';
import { MAX_PCR_BANKS, pcrsOfBitmap, type TpmsPcrSelection } from '../../../core/tpm/pcr-selection.ts';
import type { TpmSender } from '../channel.ts';

const PT_FIXED = 0x100;
const MAX_HANDLES = 254;
const MAX_PROPERTIES = 127;

/** First handles of the ranges that TPM2_GetCapability lists. */
export const HANDLE_RANGE = {
  nvIndex: 0x01000000,
  loadedSessions: 0x02000000,
  transient: 0x80000000,
  persistent: 0x81000000,
} as const;

/** Handles that exist at or above `first`, within the range that `first` lies in. */
export async function getHandles(tpm: TpmSender, first: number): Promise<number[]> {
  const handles: number[] = [];
  for (let next = first; ; ) {
    const { data, moreData } = await getCapability(tpm, TPM_CAP.HANDLES, next, MAX_HANDLES);
    const count = data.count32('count', data.remaining / 4);
    for (let index = 0; index < count; index += 1) handles.push(data.u32(`handle[${index}]`));
    data.end();
    const last = handles.at(-1);
    if (!moreData || count === 0 || last === undefined) return handles;
    next = last + 1;
  }
}

/**
 * PCR banks that are allocated, with their PCRs. Banks without PCRs are left out, and so are those of
 * hashes that are not used here, which many TPMs have.
 */
export async function getPcrBanks(tpm: TpmSender): Promise<TpmsPcrSelection[]> {
  const { data } = await getCapability(tpm, TPM_CAP.PCRS, 0, 1);
  const count = data.count32('count', MAX_PCR_BANKS);
  const banks: TpmsPcrSelection[] = [];
  for (let index = 0; index < count; index += 1) {
    const hash = hashNameOf(data.u16('hash'));
    const pcrs = pcrsOfBitmap(data.raw(data.u8('sizeofSelect'), 'pcrSelect'));
    if (hash !== undefined && pcrs.length > 0) banks.push({ hash, pcrs });
  }
  data.end();
  return banks;
}

export interface TpmProperties {
  /** Four characters of the TCG vendor list, such as `IFX` or `IBM`. */
  readonly manufacturer: string;
  readonly vendorString: string;
  /** Dotted, such as `7.85.4555.0`. */
  readonly firmwareVersion: string;
  /** Most bytes of one TPM2_NV_Read. */
  readonly nvBufferMaxBytes: number;
}

export async function getTpmProperties(tpm: TpmSender): Promise<TpmProperties> {
  const properties = await getFixedProperties(tpm);
  const words = [0, 1, 2, 3].map((word) => properties.get(TPM_PT.VENDOR_STRING_1 + word) ?? 0);
  const firmware = [TPM_PT.FIRMWARE_VERSION_1, TPM_PT.FIRMWARE_VERSION_2].map(
    (tag) => properties.get(tag) ?? 0,
  );
  return {
    manufacturer: fourCharacters(properties.get(TPM_PT.MANUFACTURER) ?? 0),
    vendorString: words.map(fourCharacters).join('').trim(),
    firmwareVersion: firmware.flatMap((half) => [half >>> 16, half & 0xffff]).join('.'),
    nvBufferMaxBytes: properties.get(TPM_PT.NV_BUFFER_MAX) ?? 512,
  };
}

async function getFixedProperties(tpm: TpmSender): Promise<Map<number, number>> {
  const { data } = await getCapability(tpm, TPM_CAP.TPM_PROPERTIES, PT_FIXED, MAX_PROPERTIES);
  const count = data.count32('count', MAX_PROPERTIES);
  const properties = new Map<number, number>();
  for (let index = 0; index < count; index += 1) properties.set(data.u32('property'), data.u32('value'));
  data.end();
  return properties;
}

async function getCapability(
  tpm: TpmSender,
  capability: number,
  property: number,
  count: number,
): Promise<{ readonly data: Reader; readonly moreData: boolean }> {
  const parameters = new Writer().u32(capability).u32(property).u32(count).bytes();
  const { parameters: data } = await tpm.execute({ code: TPM_CC.GetCapability, parameters });
  const moreData = data.u8('moreData') !== 0;
  if (data.u32('capability') !== capability) data.fail('capability', 'is not the one asked for');
  return { data, moreData };
}

function fourCharacters(value: number): string {
  const bytes = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
  return String.fromCharCode(...bytes.filter((byte) => byte >= 0x20 && byte < 0x7f));
}
