import { Reader } from '../bytes/reader.ts';

/** Part of a file, in bytes from its start. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** Headers of a PE image (Microsoft PE Format, "PE Header"), as far as a digest of it needs them. */
export interface PeImage {
  /** Optional header, Subsystem. */
  readonly subsystem: number;
  /** Optional header, CheckSum. */
  readonly checksum: Range;
  /** Optional header, Data Directories, Certificate Table; absent when there are fewer directories. */
  readonly certificateEntry?: Range;
  /** Size of the attribute certificate table, 0 without one. */
  readonly certificateBytes: number;
  /** SizeOfHeaders: DOS stub, PE header and section headers, rounded up. */
  readonly headerBytes: number;
  /** Raw data of sections that have some, in the order of the section table. */
  readonly sections: readonly Range[];
}

/** Subsystems that firmware loads (UEFI 2.10, 2.1.1): application, boot service driver, runtime driver, ROM. */
const EFI_SUBSYSTEMS = new Set([10, 11, 12, 13]);

const DOS_MAGIC = 0x5a4d;
const PE_OFFSET_AT = 0x3c;
const PE_MAGIC = 0x0000_4550;
const COFF_BYTES = 20;
const SECTION_BYTES = 40;
const DIRECTORY_BYTES = 8;
const CERTIFICATE_TABLE = 4;
const MAX_DIRECTORIES = 16;

/** Where fields of the optional header are that PE32 and PE32+ have at different places. */
const FORMS: Readonly<Record<number, { readonly countAt: number; readonly directoriesAt: number }>> = {
  267: { countAt: 92, directoriesAt: 96 },
  523: { countAt: 108, directoriesAt: 112 },
};

/** Whether firmware would run an image of this kind. */
export function isEfiImage({ subsystem }: PeImage): boolean {
  return EFI_SUBSYSTEMS.has(subsystem);
}

/**
 * Reads the headers of a PE image as firmware does before it hashes one. Whether the sections are in the file is for
 * whoever reads them.
 *
 * @throws {ParseError} for what is no PE image
 */
export function parsePeImage(bytes: Uint8Array): PeImage {
  const dos = new Reader(bytes, 'PE');
  if (dos.u16le('dos.magic') !== DOS_MAGIC) dos.fail('dos.magic', 'is not that of a PE image');
  dos.raw(PE_OFFSET_AT - 2, 'dos');
  const peAt = dos.u32le('dos.peOffset');
  const reader = readerAt(bytes, peAt, 'header');
  if (reader.u32le('magic') !== PE_MAGIC) reader.fail('magic', 'is not that of a PE header');
  reader.u16le('machine');
  const sectionCount = reader.u16le('numberOfSections');
  reader.raw(12, 'coff');
  const optionalBytes = reader.u16le('sizeOfOptionalHeader');
  const optionalAt = peAt + 4 + COFF_BYTES;
  const sectionsAt = optionalAt + optionalBytes;
  const { headerBytes, ...optional } = readOptional(bytes, optionalAt, optionalBytes);
  const table = readerAt(bytes, sectionsAt, 'sectionTable');
  // The digest must cover the table that says what the sections are.
  if (sectionsAt + sectionCount * SECTION_BYTES > headerBytes) {
    table.fail('end', `is behind the ${headerBytes} bytes of the headers`);
  }
  const sections = Array.from({ length: sectionCount }, () => {
    table.raw(16, 'section');
    const size = table.u32le('section.sizeOfRawData');
    const start = table.u32le('section.pointerToRawData');
    table.raw(16, 'section');
    return { start, end: start + size };
  });
  return { ...optional, headerBytes, sections: sections.filter(({ start, end }) => end > start) };
}

function readOptional(bytes: Uint8Array, at: number, size: number): Omit<PeImage, 'sections'> {
  const field = (offset: number, name: string) => readerAt(bytes, at + offset, name);
  const magic = field(0, 'optional').u16le('magic');
  const form = FORMS[magic];
  if (!form) return field(0, 'optional').fail('magic', `${magic} is neither PE32 nor PE32+`);
  const count = field(form.countAt, 'optional').u32le('numberOfRvaAndSizes');
  if (count > MAX_DIRECTORIES || form.directoriesAt + count * DIRECTORY_BYTES > size) {
    field(form.countAt, 'optional').fail('numberOfRvaAndSizes', `${count} do not fit into ${size} bytes`);
  }
  const subsystem = field(68, 'optional').u16le('subsystem');
  const headerBytes = field(60, 'optional').u32le('sizeOfHeaders');
  const checksum = { start: at + 64, end: at + 68 };
  if (count <= CERTIFICATE_TABLE) return { subsystem, headerBytes, checksum, certificateBytes: 0 };
  const entryAt = form.directoriesAt + CERTIFICATE_TABLE * DIRECTORY_BYTES;
  const certificateEntry = { start: at + entryAt, end: at + entryAt + DIRECTORY_BYTES };
  const certificateBytes = field(entryAt + 4, 'certificateTable').u32le('size');
  return { subsystem, headerBytes, checksum, certificateEntry, certificateBytes };
}

function readerAt(bytes: Uint8Array, offset: number, part: string): Reader {
  const start = Math.min(offset, bytes.length);
  return new Reader(bytes.subarray(start), `PE.${part}`, start);
}
