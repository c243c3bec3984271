import { hash, type KeyObject, sign, verify } from 'node:crypto';
import { fromBase64, toBase64 } from './bytes/encoding.ts';
import { concat } from './bytes/writer.ts';
import { ParseError } from './errors.ts';

/** A signed payload (DSSE 1.0.2, envelope.md). Nothing in it counts before `verifyDsse` says so. */
export interface DsseEnvelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  readonly signatures: readonly { readonly keyid: string; readonly sig: Uint8Array }[];
}

const MAX_CHARACTERS = 32 * 1024 * 1024;
const MAX_SIGNATURES = 32;

/** Whether a text looks like an envelope, as opposed to what could be in one. */
export function isDsse(text: string): boolean {
  return /^\s*\{/.test(text) && /"payloadType"\s*:/.test(text);
}

/** Reads an envelope (JSON). @throws {ParseError} */
export function parseDsse(text: string, maxCharacters = MAX_CHARACTERS): DsseEnvelope {
  const fail = (field: string, problem: string): never => {
    throw new ParseError(`envelope.${field}`, 0, problem);
  };
  if (text.length > maxCharacters) fail('size', `has ${text.length} characters, at most ${maxCharacters}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('json', 'is not JSON');
  }
  const { payloadType, payload, signatures } = Object(value);
  if (typeof payloadType !== 'string' || payloadType === '') return fail('payloadType', 'is missing');
  if (typeof payload !== 'string') return fail('payload', 'is missing');
  if (!Array.isArray(signatures) || signatures.length === 0 || signatures.length > MAX_SIGNATURES) {
    return fail('signatures', `must be 1 to ${MAX_SIGNATURES}`);
  }
  return {
    payloadType,
    payload: fromBase64(payload, 'envelope.payload'),
    signatures: signatures.map((signature: unknown) => {
      const { keyid = '', sig } = Object(signature);
      if (typeof sig !== 'string' || typeof keyid !== 'string') return fail('signatures', 'one has no sig');
      return { keyid, sig: fromBase64(sig, 'envelope.signatures.sig') };
    }),
  };
}

/** The inverse of parseDsse. */
export function renderDsse({ payloadType, payload, signatures }: DsseEnvelope): string {
  const shown = signatures.map(({ keyid, sig }) => ({ keyid, sig: toBase64(sig) }));
  return `${JSON.stringify({ payloadType, payload: toBase64(payload), signatures: shown }, null, 2)}\n`;
}

/** Signs a payload with an Ed25519 or ECDSA key. @throws {TypeError} for another type of key */
export function signDsse(
  payloadType: string,
  payload: Uint8Array,
  privateKey: KeyObject,
  publicKey: KeyObject,
): DsseEnvelope {
  const sig = new Uint8Array(sign(hashFor(privateKey), preAuthEncoding(payloadType, payload), privateKey));
  return { payloadType, payload, signatures: [{ keyid: dsseKeyId(publicKey), sig }] };
}

/**
 * Which of the given keys signed. Key ids in the envelope are hints and are not looked at: a key counts because the
 * caller trusts it, never because the envelope names it.
 */
export function verifyDsse(
  { payloadType, payload, signatures }: DsseEnvelope,
  keys: readonly KeyObject[],
): readonly KeyObject[] {
  const signed = preAuthEncoding(payloadType, payload);
  return keys.filter((key) => signatures.some(({ sig }) => verify(hashFor(key), signed, key, sig)));
}

/** Hex SHA-256 of the SubjectPublicKeyInfo: how envelopes and configurations name a key. */
export function dsseKeyId(publicKey: KeyObject): string {
  return hash('sha256', publicKey.export({ type: 'spki', format: 'der' }));
}

/** What is signed: type and payload, each with its length before it, so that neither can take from the other. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = Buffer.from(payloadType, 'utf8');
  return concat(Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload);
}

const CURVE_HASHES: Readonly<Record<string, string>> = {
  prime256v1: 'sha256',
  secp384r1: 'sha384',
  secp521r1: 'sha512',
};

function hashFor(key: KeyObject): string | null {
  if (key.asymmetricKeyType === 'ed25519') return null;
  const name = CURVE_HASHES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType === 'ec' && name !== undefined) return name;
  throw new TypeError('an Ed25519 key, or an ECDSA key on P-256, P-384 or P-521 is expected');
}
