import { Writer } from '../../../core/bytes/writer.ts';
import { TPM_CC, TPM_RH } from '../../../core/tpm/constants.ts';
import type { TpmSender } from '../channel.ts';
import { EMPTY_AUTH, type TpmAuth } from '../command.ts';

/** TPMA_NV (TPM 2.0 Part 2, section 13.4). */
const TPMA_NV = { OWNERREAD: 1 << 17, AUTHREAD: 1 << 18, WRITTEN: 1 << 29 } as const;
const MAX_NV_PUBLIC_BYTES = 256;
/** No certificate or template is larger; a TPM that says so is broken. */
const MAX_NV_DATA_BYTES = 16_384;

export interface NvPublic {
  readonly index: number;
  readonly attributes: number;
  readonly sizeBytes: number;
}

/** TPM2_NV_ReadPublic. */
async function nvReadPublic(tpm: TpmSender, index: number): Promise<NvPublic> {
  const { parameters } = await tpm.execute({ code: TPM_CC.NV_ReadPublic, handles: [index] });
  const area = parameters.nested16('nvPublic', MAX_NV_PUBLIC_BYTES);
  const nvIndex = area.u32('nvIndex');
  if (nvIndex !== index) area.fail('nvIndex', 'is not the one asked for');
  area.u16('nameAlg');
  const attributes = area.u32('attributes');
  area.sized16('authPolicy', 64);
  const sizeBytes = area.u16('dataSize');
  area.end();
  return { index, attributes, sizeBytes };
}

/**
 * All bytes of an NV index that was written, in as many TPM2_NV_Read as it takes; `undefined` when it
 * was defined but never written.
 *
 * @param ownerAuth for indices that only the owner may read
 */
export async function nvReadAll(
  tpm: TpmSender,
  index: number,
  bufferMaxBytes: number,
  ownerAuth: TpmAuth = EMPTY_AUTH,
): Promise<Uint8Array | undefined> {
  const { attributes, sizeBytes } = await nvReadPublic(tpm, index);
  if ((attributes & TPMA_NV.WRITTEN) === 0) return undefined;
  const owner = (attributes & TPMA_NV.AUTHREAD) === 0 && (attributes & TPMA_NV.OWNERREAD) !== 0;
  const handles = [owner ? TPM_RH.OWNER : index, index];
  const auths = [owner ? ownerAuth : EMPTY_AUTH];
  const bytes = new Writer();
  for (let offset = 0; offset < Math.min(sizeBytes, MAX_NV_DATA_BYTES); ) {
    const size = Math.min(sizeBytes - offset, bufferMaxBytes);
    const parameters = new Writer().u16(size).u16(offset).bytes();
    const response = await tpm.execute({ code: TPM_CC.NV_Read, handles, auths, parameters });
    const chunk = response.parameters.sized16('data', size);
    if (chunk.length !== size) response.parameters.fail('data', `holds ${chunk.length} of ${size} bytes`);
    bytes.raw(chunk);
    offset += size;
  }
  return bytes.bytes();
}
