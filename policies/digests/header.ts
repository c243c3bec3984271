import Type from 'typebox';
import Value from 'typebox/value';
import { ParseError } from '../../core/errors.ts';
import {
  type Counts,
  FILES_FORM,
  type Form,
  headerBytes,
  IMAGES_FORM,
  MAGIC_BYTES,
  MAX_ENTRIES,
  MAX_METADATA_BYTES,
} from './layout.ts';

const Metadata = Type.Object(
  {
    packages: Type.Array(Type.Tuple([Type.String(), Type.String(), Type.String()])),
    sources: Type.Array(
      Type.Object(
        { kind: Type.String(), sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })) },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);

/** Which form a set has, and what its header says is in it. @throws {ParseError} for what is no digest set */
export function parseHeader(bytes: Uint8Array): { readonly form: Form; readonly counts: Counts } {
  const form = [FILES_FORM, IMAGES_FORM].find(
    ({ magic }) => Buffer.compare(bytes.subarray(0, MAGIC_BYTES), magic) === 0,
  );
  if (!form) return fail('magic', 0, 'is not that of a digest set');
  const size = headerBytes(form);
  if (bytes.length < size) fail('header', bytes.length, `needs ${size} bytes`);
  const [metadataBytes = 0, paths = 0, pathBytes = 0, ...entries] = numbers(
    bytes,
    MAGIC_BYTES,
    3 + form.algorithms.length,
  );
  const total = entries.reduce((sum, count) => sum + count, 0);
  if (total > MAX_ENTRIES) {
    fail('header', MAGIC_BYTES, `says ${total} entries, at most ${MAX_ENTRIES} accepted`);
  }
  if (paths > total) fail('header', MAGIC_BYTES, `says ${paths} paths for ${total} entries`);
  if (metadataBytes > MAX_METADATA_BYTES) {
    fail('header', MAGIC_BYTES, `says ${metadataBytes} bytes of metadata`);
  }
  // The same content must have one form, and one id.
  const images = entries.slice(FILES_FORM.algorithms.length);
  if (form === IMAGES_FORM && images.every((count) => count === 0)) {
    fail('header', MAGIC_BYTES, 'has room for digests of images, and none');
  }
  return { form, counts: { metadataBytes, paths, pathBytes, entries } };
}

export function parseMetadata(bytes: Uint8Array, offset: number) {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch {
    return fail('metadata', offset, 'is not JSON');
  }
  if (Value.Check(Metadata, value)) return value;
  return fail('metadata', offset, 'is not the list of packages and sources that is expected');
}

export function numbers(bytes: Uint8Array, offset: number, count: number): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset + offset, count);
}

/** @throws {ParseError} always */
export function fail(part: string, offset: number, problem: string): never {
  throw new ParseError(`digest set ${part}`, offset, problem);
}
