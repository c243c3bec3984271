import { createPublicKey, type KeyObject } from 'node:crypto';
import { ParseError } from '../../core/errors.ts';
import { parseQuoteString, type QuoteParts } from '../../core/messages/keylime/quote-string.ts';
import { AK_TEMPLATES } from '../../core/tpm/attestation-key.ts';
import { CURVES } from '../../core/tpm/curve.ts';
import { hasBits } from '../../core/tpm/key.ts';
import {
  parseTpm2bPublic,
  parseTpmtPublic,
  type RsaKeyBits,
  type TpmtPublic,
} from '../../core/tpm/public.ts';
import { marshalTpmtSignature, parseTpmtSignature, type TpmtSignature } from '../../core/tpm/signature.ts';
import { DerReader } from '../../core/x509/der.ts';
import { decodeBinary } from '../evidence-files/decode.ts';

const MAGIC = [0xff, 0x54, 0x43, 0x47];
const QUOTE_STRING = /^r[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+\s*$/;

/** All three parts, if a file holds a quote as Keylime's agents send it. @throws {ParseError} */
export function keylimeQuote(bytes: Uint8Array): QuoteParts | undefined {
  const text = Buffer.from(bytes).toString('latin1');
  return QUOTE_STRING.test(text) ? parseQuoteString(text.trim()) : undefined;
}

/** TPMS_ATTEST, also out of a TPM2B_ATTEST, in binary, hex or base64. */
export function attestBytes(file: Uint8Array): Uint8Array {
  const bytes = decodeBinary(file);
  const hasSize = ((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0) === bytes.length - 2;
  const begins = (offset: number) => MAGIC.every((octet, index) => bytes[offset + index] === octet);
  return hasSize && begins(2) ? bytes.subarray(2) : bytes;
}

/** The key of a quote, and whether its attributes are known. */
export interface QuoteKey {
  readonly publicArea: TpmtPublic;
  /** PEM and SubjectPublicKeyInfo say nothing of what the key may do. */
  readonly hasAttributes: boolean;
}

/** TPM2B_PUBLIC, TPMT_PUBLIC, PEM, or DER of a SubjectPublicKeyInfo. @throws {ParseError} */
export function readQuoteKey(file: Uint8Array): QuoteKey {
  const plain = readPlainKey(file) ?? readPlainKey(decodeBinary(file));
  if (plain) return { publicArea: publicAreaOf(plain), hasAttributes: false };
  const bytes = decodeBinary(file);
  const hasSize = ((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0) === bytes.length - 2;
  const publicArea = hasSize ? parseTpm2bPublic(bytes) : parseTpmtPublic(bytes);
  return { publicArea, hasAttributes: true };
}

function readPlainKey(bytes: Uint8Array): KeyObject | undefined {
  const text = Buffer.from(bytes).toString('latin1');
  try {
    if (text.includes('-----BEGIN')) return createPublicKey(text);
    return bytes[0] === 0x30
      ? createPublicKey({ key: Buffer.from(bytes), format: 'der', type: 'spki' })
      : undefined;
  } catch {
    throw new ParseError(
      'key',
      0,
      'is neither a public key in PEM or DER, nor TPM2B_PUBLIC, nor TPMT_PUBLIC',
    );
  }
}

/** As an AK would have it: what is not in the key is taken from the usual template. */
function publicAreaOf(key: KeyObject): TpmtPublic {
  const { n, x, y, crv } = key.export({ format: 'jwk' });
  const bytes = (text: string | undefined) => new Uint8Array(Buffer.from(text ?? '', 'base64url'));
  if (n !== undefined) {
    const bits = ([1024, 2048, 3072, 4096] as const).find((size) => hasBits(bytes(n), size));
    const keyBits: RsaKeyBits = bits ?? refuseKey(`an RSA key of ${bytes(n).length * 8} bits`);
    return { ...AK_TEMPLATES.rsa2048, keyBits, unique: bytes(n) };
  }
  const names = Object.keys(CURVES) as (keyof typeof CURVES)[];
  const curve = names.find((name) => CURVES[name].jwk === crv) ?? refuseKey(`a key of the kind ${crv}`);
  return { ...AK_TEMPLATES.ecc256, curve, unique: { x: bytes(x), y: bytes(y) } };
}

function refuseKey(what: string): never {
  throw new ParseError('key', 0, `is ${what}; RSA with 1024 to 4096 bits, or a NIST curve is expected`);
}

/**
 * TPMT_SIGNATURE, from that, or from the plain signature that tpm2_quote -f plain writes: then the scheme is that of the
 * key. @throws {ParseError}
 */
export function signatureBytes(file: Uint8Array, { scheme, type }: TpmtPublic): Uint8Array {
  const bytes = decodeBinary(file);
  try {
    parseTpmtSignature(bytes);
    return bytes;
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const plain = plainSignature(bytes, type, 'hash' in scheme ? scheme.hash : 'sha256', scheme.type);
    if (plain) return marshalTpmtSignature(plain);
    throw error;
  }
}

function plainSignature(
  bytes: Uint8Array,
  type: TpmtPublic['type'],
  hash: TpmtSignature['hash'],
  scheme: string,
): TpmtSignature | undefined {
  if (type === 'rsa') {
    const isWhole = [128, 256, 384, 512].includes(bytes.length);
    return isWhole ? { type: scheme === 'rsapss' ? 'rsapss' : 'rsassa', hash, sig: bytes } : undefined;
  }
  if (bytes[0] !== 0x30) return undefined;
  try {
    const reader = DerReader.over(bytes, 'signature').sequence('Ecdsa-Sig-Value');
    const integer = (field: string) => unsigned(reader.element(0x02, field).value);
    return { type: 'ecdsa', hash, signatureR: integer('r'), signatureS: integer('s') };
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}

/** Without the zero octet that keeps an INTEGER positive. */
function unsigned(content: Uint8Array): Uint8Array {
  return content[0] === 0 ? content.subarray(1) : content;
}
