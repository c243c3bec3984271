import { Writer } from '../../../core/bytes/writer.ts';
import { TPM_CC } from '../../../core/tpm/constants.ts';
import type { TpmSender } from '../channel.ts';
import { isAlreadyStarted } from '../tpm-error.ts';

const TPM_SU_CLEAR = 0;
const FULL_TEST = 1;

/** TPM2_Startup(CLEAR). A TPM that is started already is as good. */
export async function startup(tpm: TpmSender): Promise<void> {
  try {
    await tpm.execute({ code: TPM_CC.Startup, parameters: new Writer().u16(TPM_SU_CLEAR).bytes() });
  } catch (error) {
    if (!isAlreadyStarted(error)) throw error;
  }
}

/** TPM2_SelfTest of everything. */
export async function selfTest(tpm: TpmSender): Promise<void> {
  await tpm.execute({ code: TPM_CC.SelfTest, parameters: new Writer().u8(FULL_TEST).bytes() });
}

/** TPM2_FlushContext of an object or a session. */
export async function flushContext(tpm: TpmSender, handle: number): Promise<void> {
  await tpm.execute({ code: TPM_CC.FlushContext, parameters: new Writer().u32(handle).bytes() });
}

/** TPM2_GetRandom, in as many commands as it takes. */
export async function getRandom(tpm: TpmSender, length: number): Promise<Uint8Array> {
  const random = new Writer();
  for (let left = length; left > 0; ) {
    const parameters = new Writer().u16(Math.min(left, MAX_RANDOM_BYTES)).bytes();
    const response = await tpm.execute({ code: TPM_CC.GetRandom, parameters });
    const bytes = response.parameters.sized16('randomBytes', left);
    response.parameters.end();
    if (bytes.length === 0) response.parameters.fail('randomBytes', 'are none');
    random.raw(bytes);
    left -= bytes.length;
  }
  return random.bytes();
}

/** A TPM gives at most one digest's length at a time; SHA-256 is the least that all have. */
const MAX_RANDOM_BYTES = 32;
