import fc from 'fast-check';
import type { TpmsAttest, TpmuAttest } from '../../../../core/tpm/attest.ts';
import { AK_TEMPLATES } from '../../../../core/tpm/attestation-key.ts';
import { digestSize, type HashName } from '../../../../core/tpm/constants.ts';
import { EK_TEMPLATES } from '../../../../core/tpm/endorsement-key.ts';
import { type ObjectAttribute, tpmaObject } from '../../../../core/tpm/object-attributes.ts';
import type { PcrBanks, TpmsPcrSelection } from '../../../../core/tpm/pcr-selection.ts';
import { parseTpm2bPublic, type TpmtPublic } from '../../../../core/tpm/public.ts';
import type {
  TpmtEccScheme,
  TpmtKdfScheme,
  TpmtRsaScheme,
  TpmtSymDefObject,
} from '../../../../core/tpm/scheme.ts';
import type { TpmtSignature } from '../../../../core/tpm/signature.ts';
import { loadVectors, unhex } from './vectors.ts';

export const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const digest = (hash: HashName) =>
  fc.uint8Array({ minLength: digestSize(hash), maxLength: digestSize(hash) });

const hashName = fc.constantFrom<HashName>('sha1', 'sha256', 'sha384', 'sha512');

const attribute = fc.constantFrom<ObjectAttribute>(
  'fixedTPM',
  'stClear',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'adminWithPolicy',
  'noDA',
  'encryptedDuplication',
  'restricted',
  'decrypt',
  'sign',
  'x509sign',
);
export const objectAttributes = fc.uniqueArray(attribute).map((set) => tpmaObject(...set));

const noScheme = fc.constant({ type: 'null' } as const);
const symmetric: fc.Arbitrary<TpmtSymDefObject> = fc.oneof(
  noScheme,
  fc.record({
    type: fc.constant('aes' as const),
    keyBits: fc.constantFrom(128 as const, 192 as const, 256 as const),
    mode: fc.constantFrom('ctr' as const, 'ofb' as const, 'cbc' as const, 'cfb' as const, 'ecb' as const),
  }),
);
const rsaScheme: fc.Arbitrary<TpmtRsaScheme> = fc.oneof(
  fc.record({ type: fc.constantFrom('null' as const, 'rsaes' as const) }),
  fc.record({ type: fc.constantFrom('rsassa' as const, 'rsapss' as const, 'oaep' as const), hash: hashName }),
);
const eccScheme: fc.Arbitrary<TpmtEccScheme> = fc.oneof(
  noScheme,
  fc.record({
    type: fc.constantFrom('ecdsa' as const, 'ecschnorr' as const, 'ecdh' as const, 'ecmqv' as const),
    hash: hashName,
  }),
  fc.record({ type: fc.constant('ecdaa' as const), hash: hashName, count: fc.nat(0xffff) }),
);
const kdf: fc.Arbitrary<TpmtKdfScheme> = fc.oneof(
  noScheme,
  fc.record({
    type: fc.constantFrom(
      'mgf1' as const,
      'kdf1Sp800_56a' as const,
      'kdf2' as const,
      'kdf1Sp800_108' as const,
    ),
    hash: hashName,
  }),
);

/** Real keys, so that moduli have their length and points are on their curves. */
const keys: readonly TpmtPublic[] = [
  ...loadVectors('quote').map(({ akPublic }) => akPublic),
  ...loadVectors('credential').map(({ ekPublic }) => ekPublic),
].map((text) => parseTpm2bPublic(unhex(text)));

export const publicArea: fc.Arbitrary<TpmtPublic> = fc
  .record({
    key: fc.constantFrom(...keys),
    nameAlg: hashName,
    objectAttributes,
    authPolicy: bytes(64),
    symmetric,
    rsaScheme,
    eccScheme,
    kdf,
    exponent: fc.constantFrom(0, 3, 65537),
  })
  .map(({ key, rsaScheme: forRsa, eccScheme: forEcc, kdf: forKdf, exponent, ...common }) =>
    key.type === 'rsa'
      ? { ...key, ...common, scheme: forRsa, exponent }
      : { ...key, ...common, scheme: forEcc, kdf: forKdf },
  );

export const template = fc.constantFrom<TpmtPublic>(
  ...Object.values<TpmtPublic>(EK_TEMPLATES),
  ...Object.values<TpmtPublic>(AK_TEMPLATES),
);

const pcrs = fc.uniqueArray(fc.nat(23)).map((list) => list.sort((a, b) => a - b));
export const pcrSelection: fc.Arbitrary<readonly TpmsPcrSelection[]> = fc.uniqueArray(
  fc.record({ hash: hashName, pcrs }),
  { selector: ({ hash }) => hash, maxLength: 4 },
);

/** Selections with a value for each PCR. */
export const pcrBanks: fc.Arbitrary<{ selections: readonly TpmsPcrSelection[]; values: PcrBanks }> =
  pcrSelection.chain((selections) =>
    fc
      .tuple(
        ...selections.map(({ hash, pcrs: selected }) =>
          fc
            .tuple(...selected.map((pcr) => digest(hash).map((value) => [pcr, value] as const)))
            .map((values) => [hash, new Map(values)] as const),
        ),
      )
      .map((banks) => ({ selections, values: new Map(banks) })),
  );

const attested: fc.Arbitrary<TpmuAttest> = fc.oneof(
  fc.record({ type: fc.constant('quote' as const), pcrSelect: pcrSelection, pcrDigest: bytes(64) }),
  fc.record({ type: fc.constant('certify' as const), name: bytes(66), qualifiedName: bytes(66) }),
  fc.record({ type: fc.constant('creation' as const), objectName: bytes(66), creationHash: bytes(64) }),
);

export const attest: fc.Arbitrary<TpmsAttest> = fc.record({
  qualifiedSigner: bytes(66),
  extraData: bytes(66),
  clockInfo: fc.record({
    clock: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    resetCount: fc.nat(0xffffffff),
    restartCount: fc.nat(0xffffffff),
    safe: fc.boolean(),
  }),
  firmwareVersion: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  attested,
});

export const signature: fc.Arbitrary<TpmtSignature> = fc.oneof(
  fc.record({
    type: fc.constantFrom('rsassa' as const, 'rsapss' as const),
    hash: hashName,
    sig: bytes(512),
  }),
  fc.record({
    type: fc.constant('ecdsa' as const),
    hash: hashName,
    signatureR: bytes(66),
    signatureS: bytes(66),
  }),
);

/** The bytes with up to eight of them replaced, and possibly cut or longer. */
export function mutated(original: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(Math.max(0, original.length - 1)), fc.nat(255));
  return fc
    .record({
      changes: fc.array(change, { maxLength: 8 }),
      length: fc.nat(original.length + 8),
      cut: fc.boolean(),
    })
    .map(({ changes, length, cut }) => {
      const copy = new Uint8Array(cut ? length : original.length);
      copy.set(original.subarray(0, copy.length));
      for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
      return copy;
    });
}
