import { TPM_CC } from '../../../core/tpm/constants.ts';
import type { TpmSender } from '../channel.ts';

export interface TpmTime {
  /** Milliseconds since the TPM was last powered on. */
  readonly time: bigint;
  /** Milliseconds for which the TPM was powered, in its life. */
  readonly clock: bigint;
  readonly resetCount: number;
  readonly restartCount: number;
  readonly safe: boolean;
}

/** TPM2_ReadClock. Counts are plain here, unlike in attestations by keys of the owner's hierarchy. */
export async function readClock(tpm: TpmSender): Promise<TpmTime> {
  const { parameters } = await tpm.execute({ code: TPM_CC.ReadClock });
  const time = {
    time: parameters.u64('time'),
    clock: parameters.u64('clock'),
    resetCount: parameters.u32('resetCount'),
    restartCount: parameters.u32('restartCount'),
    safe: parameters.u8('safe') === 1,
  };
  parameters.end();
  return time;
}
