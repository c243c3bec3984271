import { constants, verify } from 'node:crypto';
import { ParseError } from '../errors.ts';
import type { AlgorithmIdentifier, Certificate } from './certificate.ts';
import { DerReader, explicitTag } from './der.ts';
import { readOid, readSmallInteger } from './der-values.ts';

type Digest = 'sha256' | 'sha384' | 'sha512';

type SignatureScheme =
  | { readonly type: 'rsassa' | 'ecdsa'; readonly digest: Digest }
  | { readonly type: 'rsapss'; readonly digest: Digest; readonly saltBytes: number }
  | { readonly type: 'ed25519' };

/** Whether a key made a signature, or why that cannot be told. */
export type SignatureVerdict = 'good' | 'bad' | { readonly refused: string };

const SCHEMES: ReadonlyMap<string, SignatureScheme> = new Map([
  ['1.2.840.113549.1.1.11', { type: 'rsassa', digest: 'sha256' }],
  ['1.2.840.113549.1.1.12', { type: 'rsassa', digest: 'sha384' }],
  ['1.2.840.113549.1.1.13', { type: 'rsassa', digest: 'sha512' }],
  ['1.2.840.10045.4.3.2', { type: 'ecdsa', digest: 'sha256' }],
  ['1.2.840.10045.4.3.3', { type: 'ecdsa', digest: 'sha384' }],
  ['1.2.840.10045.4.3.4', { type: 'ecdsa', digest: 'sha512' }],
  ['1.3.101.112', { type: 'ed25519' }],
]);
const SHA1_ALGORITHMS = new Set(['1.2.840.113549.1.1.5', '1.2.840.10045.4.1']);
const RSASSA_PSS = '1.2.840.113549.1.1.10';
const MGF1 = '1.2.840.113549.1.1.8';
const DIGESTS: ReadonlyMap<string, Digest> = new Map([
  ['2.16.840.1.101.3.4.2.1', 'sha256'],
  ['2.16.840.1.101.3.4.2.2', 'sha384'],
  ['2.16.840.1.101.3.4.2.3', 'sha512'],
]);

const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const MIN_RSA_BITS = 2048;
// A longer modulus would only make the check expensive.
const MAX_RSA_BITS = 8192;

/**
 * Checks the signature over the bytes of the TBS part as they came, with the key of `issuer`. Accepts RSASSA-PKCS1-v1_5
 * and RSASSA-PSS with 2048 to 8192 bits, ECDSA on P-256, P-384 and P-521, with SHA-256 or better, and Ed25519. Says
 * nothing about whether `issuer` may sign.
 */
export function verifySignature(
  signed: Pick<Certificate, 'tbs' | 'signature' | 'signatureAlgorithm'>,
  issuer: Pick<Certificate, 'publicKey'>,
): SignatureVerdict {
  try {
    const scheme = schemeOf(signed.signatureAlgorithm);
    const problem = typeof scheme === 'string' ? scheme : keyProblem(scheme, issuer);
    if (typeof scheme === 'string' || problem !== undefined) return { refused: problem ?? '' };
    return check(scheme, signed, issuer) ? 'good' : 'bad';
  } catch (error) {
    if (error instanceof ParseError) return { refused: error.message };
    throw error;
  }
}

/** Why no certificate may be signed with this key; `undefined` when one may. */
export function weakSigningKey({ publicKey }: Pick<Certificate, 'publicKey'>): string | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey;
  switch (type) {
    case 'rsa':
    case 'rsa-pss': {
      const bits = details?.modulusLength ?? 0;
      if (bits >= MIN_RSA_BITS && bits <= MAX_RSA_BITS) return undefined;
      return `an RSA key of ${bits} bits, ${MIN_RSA_BITS} to ${MAX_RSA_BITS} expected`;
    }
    case 'ec':
      return CURVES.has(details?.namedCurve ?? '')
        ? undefined
        : 'on a curve other than P-256, P-384 and P-521';
    case 'ed25519':
      return undefined;
    default:
      return 'of a kind that is not accepted';
  }
}

function schemeOf({ oid, parameters }: AlgorithmIdentifier): SignatureScheme | string {
  if (SHA1_ALGORITHMS.has(oid)) return 'it is made with SHA-1, which can be forged';
  if (oid === RSASSA_PSS)
    return parameters ? readPssScheme(parameters) : 'RSASSA-PSS without parameters means SHA-1';
  return SCHEMES.get(oid) ?? `its algorithm ${oid} is not accepted`;
}

function keyProblem(scheme: SignatureScheme, issuer: Pick<Certificate, 'publicKey'>): string | undefined {
  const type = issuer.publicKey.asymmetricKeyType;
  const fits = {
    rsassa: type === 'rsa',
    rsapss: type === 'rsa' || type === 'rsa-pss',
    ecdsa: type === 'ec',
    ed25519: type === 'ed25519',
  };
  if (!fits[scheme.type])
    return `its algorithm does not fit the key of its issuer, which is ${type ?? 'unknown'}`;
  const weakness = weakSigningKey(issuer);
  return weakness === undefined ? undefined : `the key of its issuer is ${weakness}`;
}

function check(
  scheme: SignatureScheme,
  { tbs, signature }: Pick<Certificate, 'tbs' | 'signature'>,
  { publicKey: key }: Pick<Certificate, 'publicKey'>,
): boolean {
  switch (scheme.type) {
    case 'rsassa':
      return verify(scheme.digest, tbs, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    case 'rsapss': {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify(scheme.digest, tbs, { key, padding, saltLength: scheme.saltBytes }, signature);
    }
    case 'ecdsa':
      return verify(scheme.digest, tbs, { key, dsaEncoding: 'der' }, signature);
    case 'ed25519':
      return verify(null, tbs, key, signature);
  }
}

/** RSASSA-PSS-params (RFC 4055, 3.1), whose defaults are all for SHA-1: hash and mask must be given, and be alike. */
function readPssScheme(parameters: Uint8Array): SignatureScheme | string {
  const outer = DerReader.over(parameters, 'RSASSA-PSS-params');
  const reader = outer.sequence('params');
  const digest = readDigest(reader.nested(explicitTag(0), 'hashAlgorithm'));
  const mask = reader.nested(explicitTag(1), 'maskGenAlgorithm').sequence('maskGenAlgorithm');
  const mgf = readOid(mask, 'algorithm');
  const maskDigest = readDigest(mask);
  const salt = reader.optionalNested(explicitTag(2), 'saltLength');
  const saltBytes = salt ? readSmallInteger(salt, 'saltLength') : 20;
  const trailer = reader.optionalNested(explicitTag(3), 'trailerField');
  if (trailer && readSmallInteger(trailer, 'trailerField') !== 1)
    reader.fail('trailerField', 'is unknown', 'bytes.known');
  reader.end();
  outer.end();
  if (digest === undefined || mgf !== MGF1 || maskDigest !== digest) {
    return 'RSASSA-PSS is accepted with SHA-256 or better for both hash and mask only';
  }
  return { type: 'rsapss', digest, saltBytes };
}

function readDigest(outer: DerReader): Digest | undefined {
  const reader = outer.sequence('hash');
  const digest = DIGESTS.get(readOid(reader, 'algorithm'));
  if (!reader.done) reader.element(0x05, 'parameters');
  reader.end();
  outer.end();
  return digest;
}
