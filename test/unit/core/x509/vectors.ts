import { readFileSync } from 'node:fs';
import { fromBase64 } from '../../../../core/bytes/encoding.ts';
import { type Certificate, parseCertificate } from '../../../../core/x509/certificate.ts';

/** CA certificates in base64 of their DER. */
export interface CaVector {
  readonly intermediates: readonly string[];
  readonly anchor: string;
}

interface VectorFiles {
  /** What TPMs that machines were booted with had in their NV, all from one CA. */
  readonly 'ek-boots': CaVector & {
    readonly tpms: readonly {
      readonly name: string;
      /** TPM2B_PUBLIC of the RSA EK. */
      readonly ekPublic: string;
      readonly rsaCertificate: string;
      readonly eccCertificate: string;
    }[];
  };
  /** A CA with the names of the one in `registrar/ek.json`, and other keys. */
  readonly 'ek-rogue-ca': CaVector;
  /** CA certificates of TPM manufacturers, each as its file stands. */
  readonly manufacturers: readonly {
    readonly name: string;
    /** Of the DER. */
    readonly sha256: string;
    readonly form: 'pem' | 'der';
    readonly file: string;
  }[];
}

export function loadVectors<K extends keyof VectorFiles>(file: K): VectorFiles[K] {
  return JSON.parse(readFileSync(new URL(`../../../vectors/x509/${file}.json`, import.meta.url), 'utf8'));
}

export const unbase64 = (text: string): Uint8Array => fromBase64(text, 'vector');

/** As certificates of TPMs and their manufacturers are read. */
export const lenient = (bytes: Uint8Array): Certificate => parseCertificate(bytes, { mode: 'lenient' });
