import { TPM_ECC_CURVE } from './constants.ts';

/** The NIST curves P-256, P-384 and P-521; no other is accepted. */
export type EccCurve = 'p256' | 'p384' | 'p521';

interface CurveParameters {
  /** TPM_ECC_CURVE. */
  readonly id: number;
  /** Bytes of a coordinate. */
  readonly sizeBytes: number;
  /** Bits of a coordinate. */
  readonly bits: number;
  /** Name in a JSON Web Key (RFC 7518, section 6.2.1.1). */
  readonly jwk: string;
  /** Name in node:crypto's createECDH. */
  readonly ecdh: string;
  /** Number of points (FIPS 186-5, SP 800-186). */
  readonly order: bigint;
}

export const CURVES: Readonly<Record<EccCurve, CurveParameters>> = {
  p256: {
    id: TPM_ECC_CURVE.NIST_P256,
    sizeBytes: 32,
    bits: 256,
    jwk: 'P-256',
    ecdh: 'prime256v1',
    order: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  p384: {
    id: TPM_ECC_CURVE.NIST_P384,
    sizeBytes: 48,
    bits: 384,
    jwk: 'P-384',
    ecdh: 'secp384r1',
    order:
      0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
  p521: {
    id: TPM_ECC_CURVE.NIST_P521,
    sizeBytes: 66,
    bits: 521,
    jwk: 'P-521',
    ecdh: 'secp521r1',
    order:
      0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  },
};

/** TPM_ECC_CURVE values to our names, for `readKnown`. */
export const CURVE_OF: ReadonlyMap<number, EccCurve> = new Map([
  [CURVES.p256.id, 'p256'],
  [CURVES.p384.id, 'p384'],
  [CURVES.p521.id, 'p521'],
]);

/** Longest coordinate, and longest part of an ECDSA signature: P-521's. */
export const MAX_ECC_BYTES = CURVES.p521.sizeBytes;
