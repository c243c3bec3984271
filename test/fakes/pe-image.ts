/** What is to be seen in an image that is made for a test. */
export interface PeShape {
  /** 10 is an EFI application, 3 a console program of Windows. */
  readonly subsystem?: number;
  readonly form?: 'PE32' | 'PE32+';
  /** Raw data of the sections, in the order of the section table. */
  readonly sections?: readonly Uint8Array[];
  /** In which order they lie in the file; otherwise as in the table. */
  readonly order?: readonly number[];
  readonly directories?: number;
  /** What is behind the sections and is no signature. */
  readonly overlay?: Uint8Array;
  /** Attribute certificate table. */
  readonly certificates?: Uint8Array;
  readonly checksum?: number;
}

const PE_AT = 0x80;
const OPTIONAL_AT = PE_AT + 24;
const HEADER_BYTES = 0x400;

/** Where parts of such an image are. */
export const PE_PLACES = {
  checksum: OPTIONAL_AT + 64,
  certificateEntry: OPTIONAL_AT + 112 + 32,
  sections: HEADER_BYTES,
} as const;

/** A PE image that nothing could run: headers, and sections with the bytes that are given. */
export function peImage(shape: PeShape = {}): Uint8Array {
  const { subsystem = 10, form = 'PE32+', sections = [new Uint8Array(512).fill(0x90)], checksum = 0 } = shape;
  const { order = sections.map((_, index) => index), directories = 16 } = shape;
  const { overlay = new Uint8Array(), certificates = new Uint8Array() } = shape;
  const directoriesAt = form === 'PE32+' ? 112 : 96;
  const optionalBytes = directoriesAt + 8 * directories;
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('MZ', 0, 'latin1');
  header.writeUInt32LE(PE_AT, 0x3c);
  header.write('PE\0\0', PE_AT, 'latin1');
  header.writeUInt16LE(0x8664, PE_AT + 4);
  header.writeUInt16LE(sections.length, PE_AT + 6);
  header.writeUInt16LE(optionalBytes, PE_AT + 20);
  header.writeUInt16LE(form === 'PE32+' ? 0x20b : 0x10b, OPTIONAL_AT);
  header.writeUInt32LE(HEADER_BYTES, OPTIONAL_AT + 60);
  header.writeUInt32LE(checksum, PE_PLACES.checksum);
  header.writeUInt16LE(subsystem, OPTIONAL_AT + 68);
  header.writeUInt32LE(directories, OPTIONAL_AT + directoriesAt - 4);
  const body: Uint8Array[] = [];
  let at = HEADER_BYTES;
  for (const index of order) {
    const data = sections[index] ?? new Uint8Array();
    const entryAt = OPTIONAL_AT + optionalBytes + 40 * index;
    header.write(`.s${index}`, entryAt, 'latin1');
    header.writeUInt32LE(data.length, entryAt + 16);
    header.writeUInt32LE(at, entryAt + 20);
    body.push(data);
    at += data.length;
  }
  if (certificates.length > 0 && directories > 4) {
    const entryAt = OPTIONAL_AT + directoriesAt + 32;
    header.writeUInt32LE(at + overlay.length, entryAt);
    header.writeUInt32LE(certificates.length, entryAt + 4);
  }
  return new Uint8Array(Buffer.concat([header, ...body, overlay, certificates]));
}
