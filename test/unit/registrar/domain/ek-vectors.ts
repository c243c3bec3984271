import { readFileSync } from 'node:fs';
import { fromBase64 } from '../../../../core/bytes/encoding.ts';

/** An EK and its certificate as a TPM had them, and what must become of them. */
export interface EkVector {
  readonly id: string;
  readonly verdict: 'pass' | 'fail';
  readonly failing: readonly string[];
  /** TPM2B_PUBLIC. */
  readonly ekPublic: Uint8Array;
  readonly certificate: Uint8Array;
  readonly intermediates: readonly Uint8Array[];
  readonly anchor: Uint8Array;
}

/** Within the validity of all certificates in the vectors. */
export const AT = new Date('2027-01-01T00:00:00Z');

interface Stored {
  readonly id: string;
  readonly verdict: 'pass' | 'fail';
  readonly failing: readonly string[];
  readonly public: string;
  readonly certificate: string;
  readonly intermediates: readonly string[];
  readonly anchor: string;
}

const file = new URL('../../../vectors/registrar/ek.json', import.meta.url);
const stored: readonly Stored[] = JSON.parse(readFileSync(file, 'utf8'));
const bytes = (text: string) => fromBase64(text, 'vector');

export const EK_VECTORS: readonly EkVector[] = stored.map((vector) => ({
  id: vector.id,
  verdict: vector.verdict,
  failing: vector.failing,
  ekPublic: bytes(vector.public),
  certificate: bytes(vector.certificate),
  intermediates: vector.intermediates.map(bytes),
  anchor: bytes(vector.anchor),
}));

export function ekVector(id: string): EkVector {
  const found = EK_VECTORS.find((vector) => vector.id === id);
  if (!found) throw new Error(`there is no vector ${id}`);
  return found;
}
