import { hash } from 'node:crypto';
import { Reader } from '../../core/bytes/reader.ts';
import { AssayError, ParseError } from '../../core/errors.ts';
import type { FileDigestName, PackageRef } from '../digests/digest-entry.ts';
import { chunkOf, unpacked } from './archive.ts';
import { addImages, readContent } from './content.ts';
import { cpioMembers } from './cpio.ts';
import { absolutePath, type ImportSink } from './report.ts';

const LEAD_MAGIC = 0xedab_eedb;
const LEAD_BYTES = 96;
const HEADER_MAGIC = 0x8ead_e801;
const MAX_ENTRIES = 65_536;
const MAX_STORE_BYTES = 256 * 1024 * 1024;

/** Tags of the main header (rpm's rpmtag.h) that say which bytes are where. */
const TAG = {
  NAME: 1000,
  VERSION: 1001,
  RELEASE: 1002,
  EPOCH: 1003,
  ARCH: 1022,
  FILEMODES: 1030,
  FILEDIGESTS: 1035,
  DIRINDEXES: 1116,
  BASENAMES: 1117,
  DIRNAMES: 1118,
  FILEDIGESTALGO: 5011,
  PAYLOADDIGEST: 5092,
  PAYLOADDIGESTALGO: 5093,
} as const;

/** Numbers of hash algorithms in OpenPGP (RFC 9580, 9.5), which rpm uses. */
const DIGESTS: Readonly<Record<number, FileDigestName>> = { 8: 'sha256', 9: 'sha384', 10: 'sha512' };
const S_IFMT = 0o170000;
const S_IFREG = 0o100000;

type Values = readonly (string | number)[];

/**
 * An RPM package: the file digests of its header, which the package's signature covers, after the payload was compared
 * with the digest that the header has of it.
 *
 * @throws {AssayError} `invalid-request` for what is no RPM package or whose payload is another's
 */
export async function importRpm(bytes: Uint8Array, sink: ImportSink): Promise<void> {
  const { header, payload } = readRpm(bytes);
  checkPayload(header, payload);
  const text = (tag: number) => String(header.get(tag)?.[0] ?? '');
  const epoch = header.get(TAG.EPOCH)?.[0];
  const version = `${epoch === undefined ? '' : `${epoch}:`}${text(TAG.VERSION)}-${text(TAG.RELEASE)}`;
  const from = { name: text(TAG.NAME), version, arch: text(TAG.ARCH) };
  const digests = header.get(TAG.FILEDIGESTS) ?? [];
  const modes = header.get(TAG.FILEMODES) ?? [];
  const names = header.get(TAG.BASENAMES) ?? [];
  const directories = header.get(TAG.DIRNAMES) ?? [];
  const indexes = header.get(TAG.DIRINDEXES) ?? [];
  // Without the tag it is MD5 (rpm before 4.6).
  const algorithm = DIGESTS[Number(header.get(TAG.FILEDIGESTALGO)?.[0] ?? 1)] ?? 'md5';
  names.forEach((name, index) => {
    if ((Number(modes[index]) & S_IFMT) !== S_IFREG) return;
    const path = `${directories[Number(indexes[index])] ?? ''}${name}`;
    const hex = String(digests[index] ?? '');
    // A file that is not in the payload, such as a log, has none.
    sink.addStated(path, hex === '' ? [] : [{ algorithm, hex }], from);
  });
  await importImages(payload, sink, from);
}

/** The header says nothing of a file as an image: for that the payload is unpacked. */
async function importImages(payload: Uint8Array, sink: ImportSink, from: PackageRef): Promise<void> {
  try {
    for await (const { name, content } of cpioMembers(unpacked(chunkOf(payload)))) {
      addImages(sink, absolutePath(name, '/'), await readContent(content), from);
    }
  } catch (error) {
    if (!(error instanceof AssayError)) throw error;
    sink.skip(`a package that was not searched for EFI images: ${error.message}`, from.name);
  }
}

function readRpm(bytes: Uint8Array): {
  readonly header: ReadonlyMap<number, Values>;
  readonly payload: Uint8Array;
} {
  try {
    const reader = new Reader(bytes, 'rpm');
    if (reader.u32('lead.magic') !== LEAD_MAGIC) reader.fail('lead.magic', 'is not that of an RPM package');
    reader.raw(LEAD_BYTES - 4, 'lead');
    const before = reader.offset;
    readHeader(reader, 'signature');
    // The signature header alone is padded to eight bytes.
    reader.raw((8 - ((reader.offset - before) % 8)) % 8, 'padding');
    const header = readHeader(reader, 'header');
    return { header, payload: reader.raw(reader.remaining, 'payload') };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    throw new AssayError('invalid-request', `this is no RPM package: ${error.message}`);
  }
}

function readHeader(reader: Reader, part: string): ReadonlyMap<number, Values> {
  if (reader.u32(`${part}.magic`) !== HEADER_MAGIC)
    reader.fail(`${part}.magic`, 'is not that of an RPM header');
  reader.u32(`${part}.reserved`);
  const count = reader.count32(`${part}.count`, MAX_ENTRIES);
  const size = reader.count32(`${part}.size`, MAX_STORE_BYTES);
  const index = Array.from({ length: count }, () => ({
    tag: reader.u32(`${part}.tag`),
    type: reader.u32(`${part}.type`),
    offset: reader.u32(`${part}.offset`),
    count: reader.u32(`${part}.values`),
  }));
  const store = reader.raw(size, `${part}.store`);
  const wanted = new Set<number>(Object.values(TAG));
  return new Map(
    index
      .filter(({ tag }) => wanted.has(tag))
      .map((entry) => [entry.tag, readValues(store, entry, `${part}.${entry.tag}`)]),
  );
}

const INT16 = 3;
const INT32 = 4;
const STRINGS = new Set([6, 8, 9]);

function readValues(
  store: Uint8Array,
  { type, offset, count }: { readonly type: number; readonly offset: number; readonly count: number },
  field: string,
): Values {
  const reader = new Reader(store, field);
  if (count > store.length) reader.fail('count', `says ${count} values in ${store.length} bytes`);
  reader.raw(Math.min(offset, store.length + 1), 'offset');
  if (type === INT16) return Array.from({ length: count }, () => reader.u16('value'));
  if (type === INT32) return Array.from({ length: count }, () => reader.u32('value'));
  if (!STRINGS.has(type)) return reader.fail('type', `${type} is not expected here`);
  const text = Buffer.from(store.buffer, store.byteOffset, store.length);
  let at = offset;
  return Array.from({ length: count }, () => {
    const end = text.indexOf(0, at);
    if (end < 0) return reader.fail('value', 'is a text without an end');
    const value = text.toString('utf8', at, end);
    at = end + 1;
    return value;
  });
}

function checkPayload(header: ReadonlyMap<number, Values>, payload: Uint8Array): void {
  const stated = header.get(TAG.PAYLOADDIGEST)?.[0];
  const algorithm = DIGESTS[Number(header.get(TAG.PAYLOADDIGESTALGO)?.[0] ?? 0)];
  // Packages before rpm 4.14 have none.
  if (stated === undefined || algorithm === undefined) return;
  if (hash(algorithm, payload) !== String(stated).toLowerCase()) {
    throw new AssayError(
      'invalid-request',
      'the payload of this RPM package is not the one that its header describes',
    );
  }
}
