import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { toHex } from '../bytes/encoding.ts';
import type { Certificate } from '../x509/certificate.ts';
import { weakSigningKey } from '../x509/signature.ts';
import { keyBits, spkiSha256 } from '../x509/spki.ts';

/** A public key that file signatures are checked with. Where it came from, and so what it may sign, is the policy's. */
export interface ImaKey {
  /** Last four bytes of the key's identifier, as the header of a signature names it. */
  readonly keyId: number;
  /** SubjectKeyIdentifier of its certificate, else SHA-1 of the key (RFC 5280, 4.2.1.2, method 1). */
  readonly subjectKeyId: Uint8Array;
  /** SHA-256 of the SubjectPublicKeyInfo, hex: what tells keys apart. */
  readonly fingerprint: string;
  readonly publicKey: KeyObject;
  /** Issuer and serial number of its certificate, by which CMS signatures may name it. */
  readonly issuer: { readonly name: Uint8Array; readonly serial: Uint8Array } | undefined;
}

/**
 * The key of a certificate, by its SubjectKeyIdentifier as the kernel's keyrings do. Does not check the certificate.
 *
 * @throws {ParseError} when the key cannot be read; {RangeError} when it is too weak to be one to trust
 */
export function imaKeyOfCertificate(
  certificate: Pick<Certificate, 'publicKey' | 'subjectKeyId' | 'issuer' | 'serial'>,
): ImaKey {
  const { publicKey, issuer, serial } = certificate;
  return imaKey(publicKey, certificate.subjectKeyId, { name: issuer.der, serial });
}

/** A bare key. @throws {RangeError} when it is too weak to be one to trust */
export function imaKey(
  publicKey: KeyObject,
  subjectKeyId: Uint8Array = keyIdentifier(publicKey),
  issuer?: ImaKey['issuer'],
): ImaKey {
  const weakness = weakSigningKey({ publicKey });
  if (weakness !== undefined) throw new RangeError(`the key is ${weakness}`);
  const tail = Buffer.from(subjectKeyId).subarray(-4);
  if (tail.length < 4) throw new RangeError('the key identifier has fewer than four bytes');
  return {
    keyId: tail.readUInt32BE(),
    subjectKeyId,
    fingerprint: toHex(spkiSha256(publicKey)),
    publicKey,
    issuer,
  };
}

/** Keys by their id. Several keys may have one id: it is four bytes long. */
export class ImaKeyring {
  readonly keys: readonly ImaKey[];
  readonly #byId: ReadonlyMap<number, readonly ImaKey[]>;

  constructor(keys: Iterable<ImaKey>) {
    this.keys = [...new Map([...keys].map((key) => [key.fingerprint, key])).values()];
    this.#byId = Map.groupBy(this.keys, ({ keyId }) => keyId);
  }

  byId(keyId: number): readonly ImaKey[] {
    return this.#byId.get(keyId) ?? [];
  }
}

function keyIdentifier(publicKey: KeyObject): Uint8Array {
  const source = publicKey.type === 'private' ? createPublicKey(publicKey) : publicKey;
  const spki = source.export({ type: 'spki', format: 'der' });
  return new Uint8Array(hash('sha1', keyBits(spki), 'buffer'));
}
