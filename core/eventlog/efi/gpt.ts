import { Reader } from '../../bytes/reader.ts';
import { readGuid } from './guid.ts';
import { utf16Text } from './text.ts';

/** EFI_PARTITION_ENTRY (UEFI 2.11, 5.3.3). */
export interface GptPartition {
  readonly partitionTypeGuid: string;
  readonly uniquePartitionGuid: string;
  readonly startingLba: bigint;
  readonly endingLba: bigint;
  readonly attributes: bigint;
  /** Show it through `printable`. */
  readonly partitionName: string;
}

/** UEFI_GPT_DATA (PC Client Platform Firmware Profile, 10.2.5): the partition table of the disk that was booted. */
export interface UefiGptData {
  readonly diskGuid: string;
  readonly firstUsableLba: bigint;
  readonly lastUsableLba: bigint;
  readonly partitions: readonly GptPartition[];
}

const SIGNATURE = 0x5452415020494645n; // "EFI PART"
const HEADER_BYTES = 92;
const MIN_ENTRY_BYTES = 128;
const MAX_ENTRY_BYTES = 4096;
const MAX_PARTITIONS = 1024n;

/** @throws {ParseError} unless the bytes are exactly a partition table header and the entries it counts */
export function parseGptData(bytes: Uint8Array, offset = 0): UefiGptData {
  const reader = new Reader(bytes, 'UEFI_GPT_DATA', offset);
  const header = readHeader(reader);
  const count = reader.u64le('numberOfPartitions');
  if (count > MAX_PARTITIONS) {
    reader.fail('numberOfPartitions', `${count} is over the limit of ${MAX_PARTITIONS}`);
  }
  const partitions: GptPartition[] = [];
  for (let i = 0; i < Number(count); i++) partitions.push(readPartition(reader, header.entryBytes));
  reader.end();
  const { diskGuid, firstUsableLba, lastUsableLba } = header;
  return { diskGuid, firstUsableLba, lastUsableLba, partitions };
}

/** EFI_PARTITION_TABLE_HEADER (UEFI 2.11, 5.3.2). */
function readHeader(reader: Reader) {
  if (reader.u64le('signature') !== SIGNATURE) reader.fail('signature', 'is not EFI PART', 'bytes.known');
  reader.u32le('revision');
  const headerSize = reader.u32le('headerSize');
  if (headerSize !== HEADER_BYTES) {
    reader.fail('headerSize', `is ${headerSize}, ${HEADER_BYTES} expected`, 'bytes.known');
  }
  reader.raw(8 + 16, 'headerCrc32');
  const firstUsableLba = reader.u64le('firstUsableLba');
  const lastUsableLba = reader.u64le('lastUsableLba');
  const diskGuid = readGuid(reader, 'diskGuid');
  reader.raw(8 + 4, 'partitionEntryLba');
  const entryBytes = reader.u32le('sizeOfPartitionEntry');
  if (entryBytes < MIN_ENTRY_BYTES || entryBytes > MAX_ENTRY_BYTES) {
    reader.fail(
      'sizeOfPartitionEntry',
      `is ${entryBytes}, ${MIN_ENTRY_BYTES} to ${MAX_ENTRY_BYTES} expected`,
    );
  }
  reader.u32le('partitionEntryArrayCrc32');
  return { diskGuid, firstUsableLba, lastUsableLba, entryBytes };
}

function readPartition(reader: Reader, entryBytes: number): GptPartition {
  const partitionTypeGuid = readGuid(reader, 'partitionTypeGuid');
  const uniquePartitionGuid = readGuid(reader, 'uniquePartitionGuid');
  const startingLba = reader.u64le('startingLba');
  const endingLba = reader.u64le('endingLba');
  const attributes = reader.u64le('attributes');
  const [partitionName = ''] = utf16Text(reader.raw(72, 'partitionName')).split('\0');
  reader.raw(entryBytes - MIN_ENTRY_BYTES, 'reserved');
  return { partitionTypeGuid, uniquePartitionGuid, startingLba, endingLba, attributes, partitionName };
}
