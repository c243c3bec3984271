import type { Finding } from '../finding.ts';
import { tpmaObject } from './object-attributes.ts';
import type { TpmtPublic } from './public.ts';
import { weaknessOf } from './weak-key.ts';

/** What every attestation key has SET: without any of these it can sign a quote that no TPM made. */
const REQUIRED = ['restricted', 'sign', 'fixedTPM', 'fixedParent', 'sensitiveDataOrigin'] as const;
const SIGNING = new Set(['rsassa', 'rsapss', 'ecdsa']);

const ATTRIBUTES = tpmaObject(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'restricted',
  'sign',
);
const EMPTY = new Uint8Array();

/** Public areas for TPM2_Create, as agents of the Keylime family make their AKs. */
export const AK_TEMPLATES = {
  rsa2048: {
    type: 'rsa',
    nameAlg: 'sha256',
    objectAttributes: ATTRIBUTES,
    authPolicy: EMPTY,
    symmetric: { type: 'null' },
    scheme: { type: 'rsassa', hash: 'sha256' },
    keyBits: 2048,
    exponent: 0,
    unique: EMPTY,
  },
  ecc256: {
    type: 'ecc',
    nameAlg: 'sha256',
    objectAttributes: ATTRIBUTES,
    authPolicy: EMPTY,
    symmetric: { type: 'null' },
    scheme: { type: 'ecdsa', hash: 'sha256' },
    curve: 'p256',
    kdf: { type: 'null' },
    unique: { x: EMPTY, y: EMPTY },
  },
} as const satisfies Record<string, TpmtPublic>;

/**
 * What is wrong with a public area that shall be an attestation key: all of it, or nothing. Does not say
 * that any TPM holds the key; that is for the activation of a credential to show.
 */
export function checkAttestationKey(publicArea: TpmtPublic): readonly Finding[] {
  const findings = [...checkAkAttributes(publicArea)];
  const { scheme, nameAlg } = publicArea;
  if (!SIGNING.has(scheme.type) || !('hash' in scheme) || scheme.hash === 'sha1') {
    findings.push({
      rule: 'ak.scheme',
      message: `the AK's scheme is ${describe(scheme)}; RSASSA, RSAPSS or ECDSA with SHA-256, SHA-384 or SHA-512 expected`,
    });
  }
  if (nameAlg === 'sha1') {
    findings.push({
      rule: 'ak.name',
      message: "the AK's Name is made with SHA-1, SHA-256 or better expected",
    });
  }
  const weakness = weaknessOf(publicArea);
  if (weakness !== undefined) findings.push({ rule: 'ak.weak', message: `the AK is ${weakness}` });
  return findings;
}

/** The part of checkAttestationKey that is repeated at each quote: rule `ak.attributes`. */
export function checkAkAttributes({ objectAttributes }: TpmtPublic): readonly Finding[] {
  const missing = REQUIRED.filter((name) => !objectAttributes[name]);
  const problems = missing.map((name) => `${name} is CLEAR`);
  if (objectAttributes.decrypt) problems.push('decrypt is SET');
  if (problems.length === 0) return [];
  const message = `an attestation key is a restricted signing key that never leaves its TPM; of this one ${problems.join(', ')}`;
  return [{ rule: 'ak.attributes', message }];
}

function describe(scheme: TpmtPublic['scheme']): string {
  return 'hash' in scheme ? `${scheme.type} with ${scheme.hash}` : scheme.type;
}
