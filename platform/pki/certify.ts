import { hash } from 'node:crypto';
import { type Certificate, parseCertificate } from '../../core/x509/certificate.ts';
import { explicitTag } from '../../core/x509/der.ts';
import { der, derBits, derOid, derSequence, derTime, derUnsigned } from '../../core/x509/der-writer.ts';
import { verifySignature } from '../../core/x509/signature.ts';
import { keyBits } from '../../core/x509/spki.ts';
import { authorityKeyId, basicConstraints, keyUsage, subjectKeyId } from './extensions.ts';
import { createKeyPair, type KeyPair, randomSerial, type SigningCa, type SignTbs, signWith } from './keys.ts';
import { commonNameOnly } from './names.ts';

/** From when to when a certificate is valid; fractions of seconds are cut off. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

export interface CertificateSpec extends Validity {
  /** DER of the Name. */
  readonly subject: Uint8Array;
  /** DER of the SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** Big-endian, positive, 1 to 20 bytes; random when left out. */
  readonly serial?: Uint8Array | undefined;
  /** DER of each, without the key identifiers. */
  readonly extensions: readonly Uint8Array[];
}

/** A certificate and the private key to it. */
export interface KeyedCertificate extends SigningCa {
  readonly privateKey: KeyPair['privateKey'];
}

const VERSION_3 = der(explicitTag(0), derUnsigned(Uint8Array.of(2)));
const ECDSA_WITH_SHA256 = derSequence(derOid('1.2.840.10045.4.3.2'));
const KEY_ID_BYTES = 20;
const MAX_SERIAL_BYTES = 20;
// Lengths of r and s together, on P-256 and P-384.
const FIXED_LENGTHS = [64, 96];

/**
 * Makes a certificate of version 3 with both key identifiers, and reads it back with our own strict parser before it
 * is given out; the signature is verified too, since the signer may be a device or another process.
 *
 * The extensions are those of @peculiar/x509; the frame around them is written here. Its generator writes the same
 * bytes, which a test holds us to, but parses each extension, name and key again before it signs (more than twice the
 * CPU of an issue), and signs with a CryptoKey where we have a port.
 *
 * @throws {RangeError} for what a certificate cannot say, and when the signature is not of the CA's key
 */
export async function certify(spec: CertificateSpec, ca: SigningCa): Promise<Certificate> {
  const { subjectKeyId: keyId, subject } = ca.certificate;
  if (!keyId)
    throw new RangeError(`the certificate of ${subject.text} has no subjectKeyIdentifier to refer to`);
  const certificate = await signTbs(writeTbs(spec, subject.der, keyId), ca.sign);
  checkSignature(certificate, ca.certificate);
  return certificate;
}

/** The same for a certificate that is its own issuer. */
export async function certifySelf(
  spec: Omit<CertificateSpec, 'spki'>,
  { publicKey, privateKey }: KeyPair,
): Promise<KeyedCertificate> {
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const sign = signWith(privateKey);
  const certificate = await signTbs(writeTbs({ ...spec, spki }, spec.subject, keyIdOf(spki)), sign);
  checkSignature(certificate, certificate);
  return { certificate, sign, privateKey };
}

/** A root: a new P-256 key that certifies itself, with so many CAs below it at most. */
export async function createRoot(
  { commonName, notBefore, notAfter }: Validity & { readonly commonName: string },
  pathLength: number,
): Promise<KeyedCertificate> {
  const extensions = [basicConstraints(true, pathLength), keyUsage('keyCertSign', 'cRLSign')];
  const spec = { subject: commonNameOnly(commonName), notBefore, notAfter, extensions };
  return certifySelf(spec, await createKeyPair('p256'));
}

function writeTbs(spec: CertificateSpec, issuer: Uint8Array, issuerKeyId: Uint8Array): Uint8Array {
  const extensions = [...spec.extensions, subjectKeyId(keyIdOf(spec.spki)), authorityKeyId(issuerKeyId)];
  return derSequence(
    VERSION_3,
    derUnsigned(checkSerial(spec.serial ?? randomSerial())),
    ECDSA_WITH_SHA256,
    issuer,
    derSequence(derTime(wholeSeconds(spec.notBefore)), derTime(wholeSeconds(spec.notAfter))),
    spec.subject,
    spec.spki,
    der(explicitTag(3), derSequence(...extensions)),
  );
}

async function signTbs(tbs: Uint8Array, sign: SignTbs): Promise<Certificate> {
  const signature = derSignature(await sign(tbs));
  return parseCertificate(derSequence(tbs, ECDSA_WITH_SHA256, derBits(signature)));
}

function checkSignature(certificate: Certificate, issuer: Certificate): void {
  if (verifySignature(certificate, issuer) === 'good') return;
  throw new RangeError(`what came from the signer is no signature by the key of ${issuer.subject.text}`);
}

/** Ecdsa-Sig-Value (RFC 5480), also from r and s of fixed length. */
function derSignature(signature: Uint8Array): Uint8Array {
  if (!FIXED_LENGTHS.includes(signature.length)) return signature;
  const half = signature.length / 2;
  return derSequence(derUnsigned(signature.subarray(0, half)), derUnsigned(signature.subarray(half)));
}

/** Method 1 of RFC 7093, section 2: the first 160 bits of the SHA-256 of the key bits. */
function keyIdOf(spki: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', keyBits(spki), 'buffer').subarray(0, KEY_ID_BYTES));
}

function checkSerial(serial: Uint8Array): Uint8Array {
  const isPositive = serial.some((octet) => octet !== 0);
  // A first bit that is set would need one byte more to stay positive.
  if (isPositive && serial.length <= MAX_SERIAL_BYTES - ((serial[0] ?? 0) >> 7)) return serial;
  throw new RangeError(`a positive serial number of up to ${MAX_SERIAL_BYTES} bytes is expected`);
}

function wholeSeconds(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}
