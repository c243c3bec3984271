import { constants, generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto';
import { concat } from '../../../../core/bytes/writer.ts';
import type { TpmsAttest, TpmuAttest } from '../../../../core/tpm/attest.ts';
import { marshalTpmsAttest } from '../../../../core/tpm/attest.ts';
import { AK_TEMPLATES } from '../../../../core/tpm/attestation-key.ts';
import type { HashName } from '../../../../core/tpm/constants.ts';
import { CURVES, type EccCurve } from '../../../../core/tpm/curve.ts';
import type { PcrBanks, TpmsPcrSelection } from '../../../../core/tpm/pcr-selection.ts';
import type { TpmtPublic, TpmtPublicEcc, TpmtPublicRsa } from '../../../../core/tpm/public.ts';
import { marshalTpmtSignature, type TpmtSignature } from '../../../../core/tpm/signature.ts';

/** A key that looks like a TPM's, so that tests can sign what no TPM would. */
export interface SoftwareKey {
  readonly publicArea: TpmtPublic;
  readonly privateKey: KeyObject;
}

export function softwareEcc(changes: Partial<TpmtPublicEcc> = {}, curve: EccCurve = 'p256'): SoftwareKey {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: CURVES[curve].jwk });
  const { x, y } = publicKey.export({ format: 'jwk' });
  const unique = { x: decode(x), y: decode(y) };
  return { publicArea: { ...AK_TEMPLATES.ecc256, curve, ...changes, unique }, privateKey };
}

export function softwareRsa(changes: Partial<TpmtPublicRsa> = {}): SoftwareKey {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: changes.keyBits ?? 2048 });
  const unique = decode(publicKey.export({ format: 'jwk' }).n);
  return { publicArea: { ...AK_TEMPLATES.rsa2048, ...changes, unique }, privateKey };
}

/** A signature over bytes, as a TPM would make it with that scheme. */
export function signWith(
  { privateKey }: SoftwareKey,
  type: TpmtSignature['type'],
  name: HashName,
  message: Uint8Array,
): TpmtSignature {
  if (type === 'ecdsa') {
    const raw = sign(name, message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    const half = raw.length / 2;
    return { type, hash: name, signatureR: raw.subarray(0, half), signatureS: raw.subarray(half) };
  }
  const padding = type === 'rsapss' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  return { type, hash: name, sig: sign(name, message, { key: privateKey, padding }) };
}

export const NONCE = Uint8Array.from({ length: 32 }, (_, i) => i);

/** The fields of an attestation that its kind does not determine. */
export function attestation(attested: TpmuAttest, changes: Partial<TpmsAttest> = {}): TpmsAttest {
  return {
    qualifiedSigner: Uint8Array.of(0, 0x0b, ...new Uint8Array(32)),
    extraData: NONCE,
    clockInfo: { clock: 123_456n, resetCount: 7, restartCount: 1, safe: true },
    firmwareVersion: 0x0102_0304_0506_0708n,
    attested,
    ...changes,
  };
}

export function quoteInfo(pcrSelect: readonly TpmsPcrSelection[], values: PcrBanks): TpmuAttest {
  const parts = pcrSelect.flatMap(({ hash: bank, pcrs }) => pcrs.map((pcr) => values.get(bank)?.get(pcr)));
  const pcrDigest = hash('sha256', concat(...parts.filter((part) => part !== undefined)), 'buffer');
  return { type: 'quote', pcrSelect, pcrDigest };
}

/** Signs an attestation with ECDSA and SHA-256. */
export function signed(key: SoftwareKey, attest: TpmsAttest): { attest: Uint8Array; signature: Uint8Array } {
  const bytes = marshalTpmsAttest(attest);
  return { attest: bytes, signature: marshalTpmtSignature(signWith(key, 'ecdsa', 'sha256', bytes)) };
}

function decode(text: string | undefined): Uint8Array {
  return new Uint8Array(Buffer.from(text ?? '', 'base64url'));
}
