import { ParseError } from '../../errors.ts';
import { parseTaggedEvents, type TaggedEvent } from './tagged.ts';

/** An event of Windows' boot (wbcl.h, SIPAEVENT): a tagged event that may hold others. */
export interface WindowsEvent {
  readonly type: number;
  /** Such as `CODEINTEGRITY`; `unknown 0x…` for a number that is not known here. */
  readonly name: string;
  /** Of one that holds others: all of them. */
  readonly data: Uint8Array;
  readonly children: readonly WindowsEvent[];
}

// SIPAEVENTTYPE_AGGREGATION in the class of containers: the event holds events. Tags of others have the bit by chance.
const AGGREGATION = 0x40010000;
const AGGREGATION_MASK = 0x7fff0000;
const MAX_DEPTH = 8;

const NAMES: ReadonlyMap<number, string> = new Map([
  [0x00020001, 'INFORMATION'],
  [0x00020002, 'BOOTCOUNTER'],
  [0x00020003, 'TRANSFER_CONTROL'],
  [0x00020004, 'APPLICATION_RETURN'],
  [0x00020005, 'BITLOCKER_UNLOCK'],
  [0x00020006, 'EVENTCOUNTER'],
  [0x00020007, 'COUNTERID'],
  [0x00020008, 'MORBIT_NOT_CANCELABLE'],
  [0x00020009, 'APPLICATION_SVN'],
  [0x0002000a, 'SVN_CHAIN_STATUS'],
  [0x0002000b, 'MORBIT_API_STATUS'],
  [0x00040001, 'BOOTDEBUGGING'],
  [0x00040002, 'BOOT_REVOCATION_LIST'],
  [0x00050001, 'OSKERNELDEBUG'],
  [0x00050002, 'CODEINTEGRITY'],
  [0x00050003, 'TESTSIGNING'],
  [0x00050004, 'DATAEXECUTIONPREVENTION'],
  [0x00050005, 'SAFEMODE'],
  [0x00050006, 'WINPE'],
  [0x00050007, 'PHYSICALADDRESSEXTENSION'],
  [0x00050008, 'OSDEVICE'],
  [0x00050009, 'SYSTEMROOT'],
  [0x0005000a, 'HYPERVISOR_LAUNCH_TYPE'],
  [0x0005000b, 'HYPERVISOR_PATH'],
  [0x0005000c, 'HYPERVISOR_IOMMU_POLICY'],
  [0x0005000d, 'HYPERVISOR_DEBUG'],
  [0x0005000e, 'DRIVER_LOAD_POLICY'],
  [0x0005000f, 'SI_POLICY'],
  [0x00050010, 'HYPERVISOR_MMIO_NX_POLICY'],
  [0x00050011, 'HYPERVISOR_MSR_FILTER_POLICY'],
  [0x00050012, 'VSM_LAUNCH_TYPE'],
  [0x00050013, 'OS_REVOCATION_LIST'],
  [0x00050014, 'SMT_STATUS'],
  [0x00050020, 'VSM_IDK_INFO'],
  [0x00050021, 'FLIGHTSIGNING'],
  [0x00050022, 'PAGEFILE_ENCRYPTION_ENABLED'],
  [0x00050023, 'VSM_IDKS_INFO'],
  [0x00050024, 'HIBERNATION_DISABLED'],
  [0x00050025, 'DUMPS_DISABLED'],
  [0x00050026, 'DUMP_ENCRYPTION_ENABLED'],
  [0x00050027, 'DUMP_ENCRYPTION_KEY_DIGEST'],
  [0x00050028, 'LSAISO_CONFIG'],
  [0x00050029, 'SBCP_INFO'],
  [0x00050030, 'HYPERVISOR_BOOT_DMA_PROTECTION'],
  [0x00060001, 'NOAUTHORITY'],
  [0x00060002, 'AUTHORITYPUBKEY'],
  [0x00070001, 'FILEPATH'],
  [0x00070002, 'IMAGESIZE'],
  [0x00070003, 'HASHALGORITHMID'],
  [0x00070004, 'AUTHENTICODEHASH'],
  [0x00070005, 'AUTHORITYISSUER'],
  [0x00070006, 'AUTHORITYSERIAL'],
  [0x00070007, 'IMAGEBASE'],
  [0x00070008, 'AUTHORITYPUBLISHER'],
  [0x00070009, 'AUTHORITYSHA1THUMBPRINT'],
  [0x0007000a, 'IMAGEVALIDATED'],
  [0x0007000b, 'MODULE_SVN'],
  [0x00090001, 'ELAM_KEYNAME'],
  [0x00090002, 'ELAM_CONFIGURATION'],
  [0x00090003, 'ELAM_POLICY'],
  [0x00090004, 'ELAM_MEASURED'],
  [0x000a0001, 'VBS_VSM_REQUIRED'],
  [0x000a0002, 'VBS_SECUREBOOT_REQUIRED'],
  [0x000a0003, 'VBS_IOMMU_REQUIRED'],
  [0x000a0004, 'VBS_MMIO_NX_REQUIRED'],
  [0x000a0005, 'VBS_MSR_FILTERING_REQUIRED'],
  [0x000a0006, 'VBS_MANDATORY_ENFORCEMENT'],
  [0x000a0007, 'VBS_HVCI_POLICY'],
  [0x000a0008, 'VBS_MICROSOFT_BOOT_CHAIN_REQUIRED'],
  [0x000a0009, 'VBS_DUMP_USES_AMEROOT'],
  [0x000a000a, 'VBS_VSM_NOSECRETS_ENFORCED'],
  [0x80080001, 'QUOTE'],
  [0x80080002, 'QUOTE_SIGNATURE'],
  [0x80080003, 'AIKID'],
  [0x80080004, 'AIKPUBDIGEST'],
  [0x40010001, 'TRUSTBOUNDARY'],
  [0x40010002, 'ELAM_AGGREGATION'],
  [0x40010003, 'LOADEDMODULE_AGGREGATION'],
  [0xc0010004, 'TRUSTPOINT_AGGREGATION'],
  [0x40010005, 'KSR_AGGREGATION'],
  [0x40010006, 'KSR_SIGNED_MEASUREMENT_AGGREGATION'],
]);

/**
 * Reads tagged events as Windows writes them in PCR 11 to 14, with those inside of them. As much proven as the tags are.
 *
 * @throws {ParseError} when an event that holds others does not hold whole ones, or they are too deep
 */
export function windowsEvents(tags: readonly TaggedEvent[]): readonly WindowsEvent[] {
  return tags.map((tag) => windowsEvent(tag, 1));
}

function windowsEvent({ taggedEventId, taggedEventData, offset }: TaggedEvent, depth: number): WindowsEvent {
  const name = NAMES.get(taggedEventId) ?? `unknown 0x${taggedEventId.toString(16)}`;
  const holds = (taggedEventId & AGGREGATION_MASK) === AGGREGATION && taggedEventData.length > 0;
  if (holds && depth >= MAX_DEPTH) {
    throw new ParseError('SIPAEVENT', offset, `events are more than ${MAX_DEPTH} deep`);
  }
  const inner = holds ? parseTaggedEvents(taggedEventData, offset) : [];
  return {
    type: taggedEventId,
    name,
    data: taggedEventData,
    children: inner.map((tag) => windowsEvent(tag, depth + 1)),
  };
}
