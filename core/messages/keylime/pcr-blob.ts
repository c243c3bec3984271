import { Reader } from '../../bytes/reader.ts';
import { Writer } from '../../bytes/writer.ts';
import {
  digestSize,
  type HashName,
  hashAlgOf,
  hashNameOf,
  MAX_DIGEST_BYTES,
  MAX_DIGESTS,
  PCR_COUNT,
} from '../../tpm/constants.ts';
import {
  bitmapOfPcrs,
  MAX_PCR_BANKS,
  type PcrBanks,
  type PcrValues,
  pcrsOfBitmap,
  type TpmsPcrSelection,
} from '../../tpm/pcr-selection.ts';

/**
 * PCR values as tpm2-tools writes its C structures to a file: little-endian, all arrays at full length.
 * A TPML_PCR_SELECTION, then as many TPML_DIGEST of eight slots as the values need.
 */
export interface PcrBlob {
  /** The node's word; what was signed is in the quote. */
  readonly selections: readonly TpmsPcrSelection[];
  readonly values: PcrBanks;
}

const SELECT_BYTES = PCR_COUNT / 8;
/** pcrSelect has room for 32 PCRs; the C compiler pads the structure to eight bytes. */
const SELECT_ROOM_BYTES = 5;
const MAX_VALUES = MAX_PCR_BANKS * PCR_COUNT;

/**
 * @throws {ParseError} unless `bytes` is exactly one such file: known banks, each once, one value of the
 *   bank's size for each selected PCR, zeros in all room that is not used
 */
export function parsePcrBlob(bytes: Uint8Array): PcrBlob {
  const r = new Reader(bytes, 'pcrs');
  const selections = readSelections(r);
  const digests = readDigests(r);
  r.end();
  return { selections, values: assign(r, selections, digests) };
}

/** @throws {RangeError} when a selected PCR has no value of its bank's size */
export function renderPcrBlob(selections: readonly TpmsPcrSelection[], values: PcrBanks): Uint8Array {
  const w = new Writer().u32le(selections.length);
  for (const { hash, pcrs } of selections) {
    const bitmap = bitmapOfPcrs(pcrs);
    w.u16le(hashAlgOf(hash)).u8(bitmap.length).raw(bitmap);
    w.raw(new Uint8Array(SELECT_ROOM_BYTES - bitmap.length));
  }
  w.raw(new Uint8Array((MAX_PCR_BANKS - selections.length) * (3 + SELECT_ROOM_BYTES)));
  const digests = selections.flatMap((selection) => selectedValues(selection, values));
  w.u32le(Math.ceil(digests.length / MAX_DIGESTS));
  for (let at = 0; at < digests.length; at += MAX_DIGESTS)
    writeDigests(w, digests.slice(at, at + MAX_DIGESTS));
  return w.bytes();
}

function readSelections(r: Reader): TpmsPcrSelection[] {
  const count = r.u32le('selection.count');
  if (count > MAX_PCR_BANKS) r.fail('selection.count', `${count} is over the limit of ${MAX_PCR_BANKS}`);
  const selections: TpmsPcrSelection[] = [];
  for (let i = 0; i < count; i += 1) {
    const selection = readSelection(r);
    if (selections.some(({ hash }) => hash === selection.hash)) {
      r.fail('selection.hash', `bank ${selection.hash} comes twice`, 'bytes.duplicates');
    }
    selections.push(selection);
  }
  r.zeros((MAX_PCR_BANKS - count) * (3 + SELECT_ROOM_BYTES), 'selection.unused');
  return selections;
}

function readSelection(r: Reader): TpmsPcrSelection {
  const algorithm = r.u16le('selection.hash');
  const hash = hashNameOf(algorithm);
  if (!hash) return r.fail('selection.hash', `0x${algorithm.toString(16)} is not supported`, 'bytes.known');
  const size = r.u8('selection.sizeofSelect');
  // A bank of which nothing is selected may come without a bitmap.
  if (size !== 0 && size !== SELECT_BYTES) {
    r.fail('selection.sizeofSelect', `is ${size}, 0 or ${SELECT_BYTES} expected`);
  }
  const pcrs = pcrsOfBitmap(r.raw(size, 'selection.pcrSelect'));
  r.zeros(SELECT_ROOM_BYTES - size, 'selection.padding');
  return { hash, pcrs };
}

function readDigests(r: Reader): Uint8Array[] {
  const lists = r.u32le('digests');
  // Each list has a value, so that nothing but the values says how long the file may be.
  if (lists > MAX_VALUES) r.fail('digests', `${lists} lists are over the limit of ${MAX_VALUES}`);
  const digests: Uint8Array[] = [];
  for (let i = 0; i < lists; i += 1) {
    const count = r.u32le('digests.count');
    if (count === 0 || count > MAX_DIGESTS)
      r.fail('digests.count', `is ${count}, 1 to ${MAX_DIGESTS} expected`);
    for (let slot = 0; slot < count; slot += 1) digests.push(readSlot(r));
    for (let slot = count; slot < MAX_DIGESTS; slot += 1) skipEmptySlot(r);
  }
  return digests;
}

function readSlot(r: Reader): Uint8Array {
  const size = r.u16le('digests.size');
  if (size > MAX_DIGEST_BYTES) r.fail('digests.size', `${size} is over the limit of ${MAX_DIGEST_BYTES}`);
  const digest = r.raw(size, 'digests.buffer');
  r.zeros(MAX_DIGEST_BYTES - size, 'digests.padding');
  return digest;
}

function skipEmptySlot(r: Reader): void {
  if (r.u16le('digests.size') !== 0) r.fail('digests.unused', 'a slot beyond the count is not empty');
  r.zeros(MAX_DIGEST_BYTES, 'digests.padding');
}

function assign(
  r: Reader,
  selections: readonly TpmsPcrSelection[],
  digests: readonly Uint8Array[],
): PcrBanks {
  const selected = selections.reduce((total, { pcrs }) => total + pcrs.length, 0);
  if (selected !== digests.length)
    r.fail('digests', `${digests.length} values for ${selected} selected PCRs`);
  const banks = new Map<HashName, PcrValues>();
  let at = 0;
  for (const { hash, pcrs } of selections) {
    const values = digests.slice(at, at + pcrs.length);
    if (values.some((value) => value.length !== digestSize(hash))) {
      r.fail('digests.size', `a value of bank ${hash} does not have ${digestSize(hash)} bytes`);
    }
    banks.set(hash, new Map(values.map((value, i) => [pcrs[i] ?? 0, value])));
    at += pcrs.length;
  }
  return banks;
}

function selectedValues({ hash, pcrs }: TpmsPcrSelection, values: PcrBanks): Uint8Array[] {
  return pcrsOfBitmap(bitmapOfPcrs(pcrs)).map((pcr) => {
    const value = values.get(hash)?.get(pcr);
    if (value?.length === digestSize(hash)) return value;
    throw new RangeError(`PCR ${pcr} of bank ${hash} has no value of ${digestSize(hash)} bytes`);
  });
}

function writeDigests(w: Writer, digests: readonly Uint8Array[]): void {
  w.u32le(digests.length);
  for (const digest of digests)
    w.u16le(digest.length)
      .raw(digest)
      .raw(new Uint8Array(MAX_DIGEST_BYTES - digest.length));
  w.raw(new Uint8Array((MAX_DIGESTS - digests.length) * (2 + MAX_DIGEST_BYTES)));
}
