import { randomBytes } from 'node:crypto';
import { Writer } from '../../../core/bytes/writer.ts';
import { type HashName, hashAlgOf, TPM_ALG, TPM_CC, TPM_RH, TPM_SE } from '../../../core/tpm/constants.ts';
import { writeTpmlDigest } from '../../../core/tpm/pcr-selection.ts';
import type { TpmSender } from '../channel.ts';
import { EMPTY_AUTH, type TpmAuth } from '../command.ts';

const NONCE_BYTES = 16;

/** TPM2_StartAuthSession: an unsalted, unbound policy session. */
export async function startPolicySession(tpm: TpmSender, authHash: HashName): Promise<number> {
  const parameters = new Writer()
    .sized16(randomBytes(NONCE_BYTES))
    .u16(0)
    .u8(TPM_SE.POLICY)
    .u16(TPM_ALG.NULL)
    .u16(hashAlgOf(authHash))
    .bytes();
  const { handle } = await tpm.execute({
    code: TPM_CC.StartAuthSession,
    handles: [TPM_RH.NULL, TPM_RH.NULL],
    parameters,
    returnsHandle: true,
  });
  return handle;
}

/** TPM2_PolicySecret with the authority of `entity`, without expiry or restriction to a command. */
export async function policySecret(
  tpm: TpmSender,
  session: number,
  entity: number,
  auth: TpmAuth = EMPTY_AUTH,
): Promise<void> {
  await tpm.execute({
    code: TPM_CC.PolicySecret,
    handles: [entity, session],
    auths: [auth],
    parameters: new Writer().u16(0).u16(0).u16(0).u32(0).bytes(),
  });
}

/** TPM2_PolicyOR over two to eight digests, one of which the session has now. */
export async function policyOr(
  tpm: TpmSender,
  session: number,
  digests: readonly Uint8Array[],
): Promise<void> {
  const list = new Writer();
  writeTpmlDigest(list, digests);
  await tpm.execute({ code: TPM_CC.PolicyOR, handles: [session], parameters: list.bytes() });
}
