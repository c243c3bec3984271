import type { Reader } from '../bytes/reader.ts';
import type { Writer } from '../bytes/writer.ts';
import { failUnknown } from './algorithm.ts';
import {
  type HashName,
  hashAlgOf,
  hashNameOf,
  MAX_DIGEST_BYTES,
  MAX_DIGESTS,
  PCR_COUNT,
} from './constants.ts';

/** TPMS_PCR_SELECTION (Part 2, 10.6.2): PCRs of one bank, ascending. An empty set is legal in a TPM's answer. */
export interface TpmsPcrSelection {
  readonly hash: HashName;
  readonly pcrs: readonly number[];
}

/** PCR index to value. */
export type PcrValues = ReadonlyMap<number, Uint8Array>;

/** The values of several banks. */
export type PcrBanks = ReadonlyMap<HashName, PcrValues>;

/** HASH_COUNT: as many as a TPML_PCR_SELECTION of any TPM has room for. */
export const MAX_PCR_BANKS = 16;

const SELECT_BYTES = PCR_COUNT / 8;

/**
 * Reads a TPML_PCR_SELECTION (10.9.7).
 *
 * @param unknownBanks `skip` leaves out banks of hashes that we do not know (SM3, SHA-3), for the list of
 *   what a TPM has; never for what was signed
 * @throws {ParseError} for a bank that comes twice, an unknown hash or a PCR over 23
 */
export function readTpmlPcrSelection(
  r: Reader,
  unknownBanks: 'refuse' | 'skip' = 'refuse',
): readonly TpmsPcrSelection[] {
  const count = r.count32('pcrSelect.count', MAX_PCR_BANKS);
  const selections: TpmsPcrSelection[] = [];
  for (let i = 0; i < count; i += 1) {
    const algorithm = r.u16('pcrSelect.hash');
    const hash = hashNameOf(algorithm);
    if (!hash && unknownBanks === 'refuse') failUnknown(r, 'pcrSelect.hash', algorithm);
    if (selections.some((other) => other.hash === hash)) {
      r.fail('pcrSelect.hash', `bank ${hash} comes twice`, 'bytes.duplicates');
    }
    const size = r.u8('pcrSelect.sizeofSelect');
    if (size !== SELECT_BYTES) r.fail('pcrSelect.sizeofSelect', `is ${size}, ${SELECT_BYTES} expected`);
    const bitmap = r.raw(size, 'pcrSelect.pcrSelect');
    if (hash) selections.push({ hash, pcrs: pcrsOfBitmap(bitmap) });
  }
  return selections;
}

/** @throws {RangeError} for a PCR over 23 */
export function writeTpmlPcrSelection(w: Writer, selections: readonly TpmsPcrSelection[]): void {
  w.u32(selections.length);
  for (const { hash, pcrs } of selections) w.u16(hashAlgOf(hash)).u8(SELECT_BYTES).raw(bitmapOfPcrs(pcrs));
}

/** Reads a TPML_DIGEST (10.9.6): at most eight. */
export function readTpmlDigest(r: Reader): readonly Uint8Array[] {
  const count = r.count32('digests.count', MAX_DIGESTS);
  const digests: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) digests.push(r.sized16('digests', MAX_DIGEST_BYTES));
  return digests;
}

export function writeTpmlDigest(w: Writer, digests: readonly Uint8Array[]): void {
  w.u32(digests.length);
  for (const digest of digests) w.sized16(digest);
}

/** The indices whose bits are set, ascending: PCR n is bit n mod 8 of byte n / 8. */
export function pcrsOfBitmap(bitmap: Uint8Array): readonly number[] {
  const pcrs: number[] = [];
  for (let pcr = 0; pcr < 8 * bitmap.length; pcr += 1) {
    if (((bitmap[pcr >> 3] ?? 0) & (1 << (pcr & 7))) !== 0) pcrs.push(pcr);
  }
  return pcrs;
}

/** @throws {RangeError} for a PCR over 23 */
export function bitmapOfPcrs(pcrs: readonly number[]): Uint8Array {
  const bitmap = new Uint8Array(SELECT_BYTES);
  for (const pcr of pcrs) {
    if (!Number.isInteger(pcr) || pcr < 0 || pcr >= PCR_COUNT) throw new RangeError(`there is no PCR ${pcr}`);
    bitmap[pcr >> 3] = (bitmap[pcr >> 3] ?? 0) | (1 << (pcr & 7));
  }
  return bitmap;
}
