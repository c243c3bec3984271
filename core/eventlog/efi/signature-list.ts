import { Reader } from '../../bytes/reader.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import { readGuid } from './guid.ts';

/** What an EFI_SIGNATURE_LIST holds (UEFI 2.11, 32.4.1). */
export type SignatureType =
  | 'x509'
  | 'sha1'
  | 'sha256'
  | 'sha384'
  | 'sha512'
  | 'rsa2048'
  | 'x509-sha256'
  | 'x509-sha384'
  | 'x509-sha512'
  | 'pkcs7'
  | 'unknown';

const TYPES: ReadonlyMap<string, { readonly type: SignatureType; readonly dataBytes?: number }> = new Map([
  ['a5c059a1-94e4-4aa7-87b5-ab155c2bf072', { type: 'x509' }],
  ['826ca512-cf10-4ac9-b187-be01496631bd', { type: 'sha1', dataBytes: 20 }],
  ['c1c41626-504c-4092-aca9-41f936934328', { type: 'sha256', dataBytes: 32 }],
  ['ff3e5307-9fd0-48c9-85f1-8ad56c701e01', { type: 'sha384', dataBytes: 48 }],
  ['093e0fae-a6c4-4f50-9f1b-d41e2b89c19a', { type: 'sha512', dataBytes: 64 }],
  ['3c5766e8-269c-4e34-aa14-ed776e85b3b6', { type: 'rsa2048', dataBytes: 256 }],
  // The digest of a certificate's TBS part and an EFI_TIME of its revocation.
  ['3bd2a492-96c0-4079-b420-fcf98ef103ed', { type: 'x509-sha256', dataBytes: 48 }],
  ['7076876e-80c2-4ee6-aad2-28b349a6865b', { type: 'x509-sha384', dataBytes: 64 }],
  ['446dbf63-2502-4cda-bcfa-2465d2b0fe9d', { type: 'x509-sha512', dataBytes: 80 }],
  ['4aafd29d-68df-49ee-8aa9-347d375665a7', { type: 'pkcs7' }],
]);

const LIST_HEADER_BYTES = 28;
const OWNER_BYTES = 16;

/** EFI_SIGNATURE_DATA with the type of its list. */
export interface EfiSignature {
  readonly type: SignatureType;
  readonly typeGuid: string;
  readonly signatureOwner: string;
  /** A digest, the DER of a certificate, or what else the type says. */
  readonly signatureData: Uint8Array;
  /** Bytes from the start of the outermost structure to `signatureData`. */
  readonly offset: number;
}

/**
 * Parses a sequence of EFI_SIGNATURE_LIST, as PK, KEK, db, dbx and shim's lists are, and flattens it. An empty
 * sequence is legal: a variable that is not set is measured so.
 *
 * @throws {ParseError} unless the bytes are whole lists, each of whole signatures of the size of its type
 */
export function parseSignatureLists(bytes: Uint8Array, offset = 0): readonly EfiSignature[] {
  const reader = new Reader(bytes, 'EFI_SIGNATURE_LIST', offset);
  const signatures: EfiSignature[] = [];
  while (reader.remaining > 0) readList(reader, signatures);
  return signatures;
}

function readList(reader: Reader, out: EfiSignature[]): void {
  const typeGuid = readGuid(reader, 'signatureType');
  const { type, dataBytes } = TYPES.get(typeGuid) ?? { type: 'unknown' as const };
  const listSize = reader.u32le('signatureListSize');
  const headerSize = reader.u32le('signatureHeaderSize');
  const size = reader.u32le('signatureSize');
  const bodyBytes = listSize - LIST_HEADER_BYTES - headerSize;
  if (bodyBytes < 0) reader.fail('signatureListSize', `is ${listSize}, less than its headers`);
  if (size <= OWNER_BYTES || (dataBytes !== undefined && size !== OWNER_BYTES + dataBytes)) {
    reader.fail('signatureSize', `is ${size}, which does not fit type ${type}`);
  }
  if (bodyBytes % size !== 0) {
    reader.fail('signatureListSize', `leaves ${bodyBytes} bytes, not a multiple of ${size}`);
  }
  reader.raw(headerSize, 'signatureHeader');
  const end = reader.remaining - bodyBytes;
  if (end < 0) reader.fail('signatures', `needs ${bodyBytes} bytes, ${reader.remaining} left`);
  while (reader.remaining > end) {
    const signatureOwner = readGuid(reader, 'signatureOwner');
    const signatureData = reader.raw(size - OWNER_BYTES, 'signatureData');
    const offset = reader.offset - signatureData.length;
    out.push({ type, typeGuid, signatureOwner, signatureData, offset });
  }
}

/**
 * The certificate of a signature of type `x509`. That it stands in a list says that the firmware trusts it; it says
 * nothing of its dates, which firmware does not look at.
 *
 * @throws {ParseError} when it is not one certificate in strict DER
 * @throws {RangeError} for another type
 */
export function signatureCertificate({
  type,
  signatureData,
}: Pick<EfiSignature, 'type' | 'signatureData'>): Certificate {
  if (type !== 'x509') throw new RangeError(`a signature of type ${type} holds no certificate`);
  return parseCertificate(signatureData);
}

/** EFI_SIGNATURE_DATA by itself, as a db entry that vouched for an image is measured. */
export interface EfiSignatureData {
  /** `undefined` where shim measured the certificate or digest alone: its own, and before 15.3 any. */
  readonly signatureOwner: string | undefined;
  readonly signatureData: Uint8Array;
}

/** @throws {ParseError} for what is neither alone, and has no room for an owner and a byte of data */
export function parseSignatureData(bytes: Uint8Array, offset = 0): EfiSignatureData {
  if (isAlone(bytes)) return { signatureOwner: undefined, signatureData: bytes };
  const reader = new Reader(bytes, 'EFI_SIGNATURE_DATA', offset);
  const signatureOwner = readGuid(reader, 'signatureOwner');
  if (reader.remaining === 0) reader.fail('signatureData', 'is empty');
  return { signatureOwner, signatureData: reader.raw(reader.remaining, 'signatureData') };
}

const SHA256_BYTES = 32;

/** A SHA-256, or one SEQUENCE that fills the bytes, its length in two octets as that of every certificate is. */
function isAlone(bytes: Uint8Array): boolean {
  if (bytes.length === SHA256_BYTES) return true;
  const [tag, form, high = 0, low = 0] = bytes;
  return tag === 0x30 && form === 0x82 && (high << 8) + low + 4 === bytes.length;
}
