import { Reader } from '../bytes/reader.ts';
import { digestSize, hashNameOf, MAX_DIGEST_BYTES, TPM_ALG } from '../tpm/constants.ts';
import type { LogBank, LogWarning } from './event.ts';

const SIGNATURE_BYTES = 16;
const PREFIX = 'Spec ID Event';
const AGILE = 'Spec ID Event03\0';
// The forms of PC Client specifications before TPM 2.0: their logs have SHA-1 digests only.
const LEGACY = new Set(['Spec ID Event00\0', 'Spec ID Event02\0']);
const MAX_BANKS = 16;

/** The bank of a log in the form that came before crypto-agile logs. */
export const SHA1_BANK: LogBank = { alg: TPM_ALG.SHA1, hash: 'sha1', digestBytes: digestSize('sha1') };

/** What the first event says about the form of the others. */
export interface SpecId {
  readonly format: 'crypto-agile' | 'sha1';
  readonly banks: readonly LogBank[];
  readonly warnings: readonly LogWarning[];
}

/**
 * Reads TCG_EfiSpecIdEvent (PC Client Platform Firmware Profile, 10.4.5.1), the data of the first event.
 *
 * @param offset of `data` in the log
 * @returns `undefined` where `data` is something else: the log is one of SHA-1 digests without such an event
 * @throws {ParseError} for a version that is unknown, a bank named twice, a size that is not the algorithm's
 */
export function readSpecId(data: Uint8Array, offset: number): SpecId | undefined {
  const reader = new Reader(data, 'TCG_EfiSpecIdEvent', offset);
  const signature = String.fromCharCode(...data.subarray(0, SIGNATURE_BYTES));
  if (!signature.startsWith(PREFIX)) return undefined;
  if (LEGACY.has(signature)) return { format: 'sha1', banks: [SHA1_BANK], warnings: [] };
  if (signature !== AGILE) reader.fail('signature', 'is not Spec ID Event 00, 02 or 03', 'bytes.known');
  reader.raw(SIGNATURE_BYTES, 'signature');
  reader.u32le('platformClass');
  reader.raw(4, 'specVersion');
  const banks = readBanks(reader);
  return { format: 'crypto-agile', banks, warnings: readVendorInfo(reader) };
}

function readBanks(reader: Reader): readonly LogBank[] {
  const count = reader.u32le('numberOfAlgorithms');
  if (count === 0 || count > MAX_BANKS) {
    reader.fail('numberOfAlgorithms', `is ${count}, 1 to ${MAX_BANKS} expected`);
  }
  const banks: LogBank[] = [];
  for (let i = 0; i < count; i++) {
    const bank = readBank(reader);
    if (banks.some(({ alg }) => alg === bank.alg)) {
      reader.fail('algorithmId', `0x${bank.alg.toString(16)} is there twice`, 'bytes.duplicates');
    }
    banks.push(bank);
  }
  return banks;
}

function readBank(reader: Reader): LogBank {
  const alg = reader.u16le('algorithmId');
  const digestBytes = reader.u16le('digestSize');
  const hash = hashNameOf(alg);
  if (hash !== undefined && digestBytes !== digestSize(hash)) {
    reader.fail('digestSize', `is ${digestBytes}, ${hash} has ${digestSize(hash)}`);
  }
  if (digestBytes === 0 || digestBytes > MAX_DIGEST_BYTES) {
    reader.fail('digestSize', `is ${digestBytes}, 1 to ${MAX_DIGEST_BYTES} expected`);
  }
  return { alg, hash, digestBytes };
}

// Nothing depends on these bytes, and firmware that gets them wrong is in the field.
function readVendorInfo(reader: Reader): readonly LogWarning[] {
  const offset = reader.offset;
  const size = reader.remaining === 0 ? undefined : reader.u8('vendorInfoSize');
  if (size === reader.remaining) return [];
  const problem = size === undefined ? 'is missing' : `is ${size}, ${reader.remaining} bytes follow`;
  return [{ code: 'spec-id', offset, message: `vendorInfoSize ${problem}` }];
}
