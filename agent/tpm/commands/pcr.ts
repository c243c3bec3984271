import { Writer } from '../../../core/bytes/writer.ts';
import { AssayError } from '../../../core/errors.ts';
import { type HashName, hashAlgOf, MAX_DIGESTS, TPM_CC } from '../../../core/tpm/constants.ts';
import {
  type PcrValues,
  readTpmlDigest,
  readTpmlPcrSelection,
  type TpmsPcrSelection,
  writeTpmlPcrSelection,
} from '../../../core/tpm/pcr-selection.ts';
import type { TpmSender } from '../channel.ts';
import { EMPTY_AUTH } from '../command.ts';

const MAX_ATTEMPTS = 5;

/**
 * TPM2_PCR_Read, in as many commands as it takes. The values belong together: when a PCR changes between
 * two commands, all are read again, a few times.
 *
 * @throws {AssayError} `invalid-request` when the bank or one of the PCRs does not exist
 */
export async function pcrRead(tpm: TpmSender, bank: HashName, pcrs: readonly number[]): Promise<PcrValues> {
  for (let attempt = 1; ; attempt += 1) {
    const { values, counters } = await readOnce(tpm, bank, pcrs);
    if (counters.size <= 1) return values;
    if (attempt >= MAX_ATTEMPTS) {
      throw new AssayError('unavailable', `PCRs changed during each of ${MAX_ATTEMPTS} readings; try again`);
    }
  }
}

/** TPM2_PCR_Extend of one bank. */
export async function pcrExtend(
  tpm: TpmSender,
  pcr: number,
  bank: HashName,
  digest: Uint8Array,
): Promise<void> {
  const parameters = new Writer().u32(1).u16(hashAlgOf(bank)).raw(digest).bytes();
  await tpm.execute({ code: TPM_CC.PCR_Extend, handles: [pcr], auths: [EMPTY_AUTH], parameters });
}

/** TPM2_PCR_Reset, which sets the PCR to zero in every bank. Only PCR 16 and 23 allow it to the OS. */
export async function pcrReset(tpm: TpmSender, pcr: number): Promise<void> {
  await tpm.execute({ code: TPM_CC.PCR_Reset, handles: [pcr], auths: [EMPTY_AUTH] });
}

async function readOnce(
  tpm: TpmSender,
  bank: HashName,
  pcrs: readonly number[],
): Promise<{ readonly values: PcrValues; readonly counters: ReadonlySet<number> }> {
  const values = new Map<number, Uint8Array>();
  const counters = new Set<number>();
  const missing = new Set(pcrs);
  while (missing.size > 0) {
    const asked = [...missing].sort((a, b) => a - b).slice(0, MAX_DIGESTS);
    const read = await readSome(tpm, { hash: bank, pcrs: asked });
    // A bank that is not allocated answers with an empty selection, for ever.
    if (read.values.size === 0) {
      const list = asked.join(', ');
      throw new AssayError('invalid-request', `this TPM has no PCR ${list} in bank ${bank}`);
    }
    for (const [pcr, value] of read.values) {
      values.set(pcr, value);
      missing.delete(pcr);
    }
    counters.add(read.updateCounter);
  }
  return { values, counters };
}

async function readSome(
  tpm: TpmSender,
  selection: TpmsPcrSelection,
): Promise<{ readonly values: PcrValues; readonly updateCounter: number }> {
  const request = new Writer();
  writeTpmlPcrSelection(request, [selection]);
  const { parameters } = await tpm.execute({ code: TPM_CC.PCR_Read, parameters: request.bytes() });
  const updateCounter = parameters.u32('pcrUpdateCounter');
  const banks = readTpmlPcrSelection(parameters);
  const pcrs = banks.find((bank) => bank.hash === selection.hash)?.pcrs ?? [];
  const digests = readTpmlDigest(parameters);
  if (digests.length !== pcrs.length) {
    parameters.fail('digests', `are ${digests.length} for ${pcrs.length} PCRs`);
  }
  parameters.end();
  const values = new Map(pcrs.flatMap((pcr, at) => pairOf(pcr, digests[at])));
  return { values, updateCounter };
}

function pairOf(pcr: number, value: Uint8Array | undefined): [number, Uint8Array][] {
  return value === undefined ? [] : [[pcr, value]];
}
