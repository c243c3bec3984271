import { Reader } from '../../bytes/reader.ts';
import { readLength } from './variable.ts';

/** UEFI_IMAGE_LOAD_EVENT (PC Client Platform Firmware Profile, 10.2.3). Where the image was is not in its digest. */
export interface UefiImageLoadEvent {
  readonly imageLocationInMemory: bigint;
  readonly imageLengthInMemory: bigint;
  readonly imageLinkTimeAddress: bigint;
  /** A device path: see device-path.ts. */
  readonly devicePath: Uint8Array;
}

/**
 * Shim writes eight or nine bytes more than the event has. They are let be: nothing of the data is in its digest.
 *
 * @throws {ParseError} unless the bytes begin with one UEFI_IMAGE_LOAD_EVENT
 */
export function parseImageLoadEvent(bytes: Uint8Array, offset = 0): UefiImageLoadEvent {
  const reader = new Reader(bytes, 'UEFI_IMAGE_LOAD_EVENT', offset);
  const imageLocationInMemory = reader.u64le('imageLocationInMemory');
  const imageLengthInMemory = reader.u64le('imageLengthInMemory');
  const imageLinkTimeAddress = reader.u64le('imageLinkTimeAddress');
  const devicePath = reader.raw(readLength(reader, 'lengthOfDevicePath'), 'devicePath');
  return { imageLocationInMemory, imageLengthInMemory, imageLinkTimeAddress, devicePath };
}
