import { Writer } from '../../../core/bytes/writer.ts';
import { TPM_CC } from '../../../core/tpm/constants.ts';
import { readTpmtPublic, type TpmtPublic } from '../../../core/tpm/public.ts';
import type { TpmSender } from '../channel.ts';
import { EMPTY_AUTH, type TpmAuth } from '../command.ts';

const MAX_PUBLIC_BYTES = 1024;
const MAX_PRIVATE_BYTES = 2048;

/**
 * A key of the TPM as it is kept outside: both structures whole, with their size in front. The private
 * half is encrypted for its parent, so it is of no use away from this TPM.
 */
export interface KeyBlobs {
  /** TPM2B_PUBLIC. */
  readonly public: Uint8Array;
  /** TPM2B_PRIVATE. */
  readonly private: Uint8Array;
}

/** TPM2_ReadPublic of a loaded or persistent object. */
export async function readPublic(tpm: TpmSender, handle: number): Promise<TpmtPublic> {
  const { parameters } = await tpm.execute({ code: TPM_CC.ReadPublic, handles: [handle] });
  const area = parameters.nested16('outPublic', MAX_PUBLIC_BYTES);
  const outPublic = readTpmtPublic(area);
  area.end();
  return outPublic;
}

export interface PrimaryKey {
  /** Transient. */
  readonly handle: number;
  readonly public: TpmtPublic;
}

/**
 * TPM2_CreatePrimary without a password of its own.
 *
 * @param template TPM2B_PUBLIC with its size
 */
export async function createPrimary(
  tpm: TpmSender,
  hierarchy: number,
  template: Uint8Array,
  auth: TpmAuth = EMPTY_AUTH,
): Promise<PrimaryKey> {
  const response = await tpm.execute({
    code: TPM_CC.CreatePrimary,
    handles: [hierarchy],
    auths: [auth],
    parameters: creationParameters(template),
    returnsHandle: true,
  });
  const area = response.parameters.nested16('outPublic', MAX_PUBLIC_BYTES);
  const outPublic = readTpmtPublic(area);
  area.end();
  return { handle: response.handle, public: outPublic };
}

/**
 * TPM2_Create of a key without a password of its own under a loaded parent.
 *
 * @param template TPM2B_PUBLIC with its size
 */
export async function create(
  tpm: TpmSender,
  parent: { readonly handle: number; readonly auth: TpmAuth },
  template: Uint8Array,
): Promise<KeyBlobs> {
  const { parameters } = await tpm.execute({
    code: TPM_CC.Create,
    handles: [parent.handle],
    auths: [parent.auth],
    parameters: creationParameters(template),
  });
  const outPrivate = parameters.sized16('outPrivate', MAX_PRIVATE_BYTES);
  const outPublic = parameters.sized16('outPublic', MAX_PUBLIC_BYTES);
  return {
    public: new Writer().sized16(outPublic).bytes(),
    private: new Writer().sized16(outPrivate).bytes(),
  };
}

/** TPM2_Load. @returns a transient handle */
export async function load(
  tpm: TpmSender,
  parent: { readonly handle: number; readonly auth: TpmAuth },
  blobs: KeyBlobs,
): Promise<number> {
  const { handle } = await tpm.execute({
    code: TPM_CC.Load,
    handles: [parent.handle],
    auths: [parent.auth],
    parameters: new Writer().raw(blobs.private).raw(blobs.public).bytes(),
    returnsHandle: true,
  });
  return handle;
}

/** inSensitive with no password and no data, inPublic, no outsideInfo, no creation PCRs. */
function creationParameters(template: Uint8Array): Uint8Array {
  return new Writer()
    .nested16((sensitive) => sensitive.u16(0).u16(0))
    .raw(template)
    .u16(0)
    .u32(0)
    .bytes();
}
