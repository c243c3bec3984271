import { toHex } from '../bytes/encoding.ts';
import type { TpmtPublic } from './public.ts';

const MIN_RSA_BITS = 2048;
const ROCA_GENERATOR = 65537;
const ROCA_PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

const ROCA_RESIDUES = ROCA_PRIMES.map((prime) => ({ prime: BigInt(prime), residues: powersModulo(prime) }));

/**
 * Why a key is too weak to be anyone's identity: RSA under 2048 bits, or with the fingerprint of
 * CVE-2017-15361 (ROCA: the primes are k·M + 65537^a mod M). `undefined` for all other keys, of which one
 * in about 2^27 by chance has the fingerprint.
 */
export function weaknessOf(publicArea: TpmtPublic): string | undefined {
  return publicArea.type === 'rsa' ? rsaWeakness(publicArea.keyBits, publicArea.unique) : undefined;
}

/** The same for any RSA key. @param modulus big-endian */
export function rsaWeakness(bits: number, modulus: Uint8Array): string | undefined {
  if (bits < MIN_RSA_BITS) return `an RSA key of ${bits} bits, at least ${MIN_RSA_BITS} expected`;
  return hasRocaFingerprint(modulus)
    ? 'an RSA key of the vulnerable Infineon library (ROCA, CVE-2017-15361); update the TPM and make a new key'
    : undefined;
}

function hasRocaFingerprint(modulus: Uint8Array): boolean {
  const n = BigInt(`0x0${toHex(modulus)}`);
  return ROCA_RESIDUES.every(({ prime, residues }) => residues.has(Number(n % prime)));
}

function powersModulo(prime: number): ReadonlySet<number> {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * ROCA_GENERATOR) % prime) powers.add(power);
  return powers;
}
