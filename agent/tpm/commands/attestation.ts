import type { Reader } from '../../../core/bytes/reader.ts';
import { Writer } from '../../../core/bytes/writer.ts';
import { TPM_ALG, TPM_CC, TPM_RH, TPM_ST } from '../../../core/tpm/constants.ts';
import type { Credential } from '../../../core/tpm/credential.ts';
import { type TpmsPcrSelection, writeTpmlPcrSelection } from '../../../core/tpm/pcr-selection.ts';
import type { TpmSender } from '../channel.ts';
import { EMPTY_AUTH, type TpmAuth } from '../command.ts';

const MAX_ATTEST_BYTES = 2048;
const MAX_SECRET_BYTES = 128;

export interface Attestation {
  /** TPMS_ATTEST, without a size in front: the bytes that were signed. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
}

/** TPM2_Quote with the key's own scheme. */
export async function quotePcrs(
  tpm: TpmSender,
  signHandle: number,
  qualifyingData: Uint8Array,
  selection: readonly TpmsPcrSelection[],
): Promise<Attestation> {
  const parameters = new Writer().sized16(qualifyingData).u16(TPM_ALG.NULL);
  writeTpmlPcrSelection(parameters, selection);
  const response = await tpm.execute({
    code: TPM_CC.Quote,
    handles: [signHandle],
    auths: [EMPTY_AUTH],
    parameters: parameters.bytes(),
  });
  return readAttestation(response.parameters);
}

/** TPM2_Certify: `signHandle` states that the object at `objectHandle` is loaded in its TPM. */
export async function certify(
  tpm: TpmSender,
  objectHandle: number,
  signHandle: number,
  qualifyingData: Uint8Array,
): Promise<Attestation> {
  const response = await tpm.execute({
    code: TPM_CC.Certify,
    handles: [objectHandle, signHandle],
    auths: [EMPTY_AUTH, EMPTY_AUTH],
    parameters: new Writer().sized16(qualifyingData).u16(TPM_ALG.NULL).bytes(),
  });
  return readAttestation(response.parameters);
}

/**
 * TPM2_ActivateCredential.
 *
 * @returns the secret, which is given out only when both keys are in this TPM
 */
export async function activateCredential(
  tpm: TpmSender,
  activateHandle: number,
  key: { readonly handle: number; readonly auth: TpmAuth },
  credential: Credential,
): Promise<Uint8Array> {
  const { parameters } = await tpm.execute({
    code: TPM_CC.ActivateCredential,
    handles: [activateHandle, key.handle],
    auths: [EMPTY_AUTH, key.auth],
    parameters: new Writer().sized16(credential.idObject).sized16(credential.encryptedSecret).bytes(),
  });
  const secret = parameters.sized16('certInfo', MAX_SECRET_BYTES);
  parameters.end();
  return secret;
}

/**
 * TPM2_Sign of a digest that was made outside the TPM, so by an unrestricted key only.
 *
 * @returns TPMT_SIGNATURE
 */
export async function signDigest(tpm: TpmSender, handle: number, digest: Uint8Array): Promise<Uint8Array> {
  const { parameters } = await tpm.execute({
    code: TPM_CC.Sign,
    handles: [handle],
    auths: [EMPTY_AUTH],
    // The ticket says that nobody vouches for where the digest comes from.
    parameters: new Writer()
      .sized16(digest)
      .u16(TPM_ALG.NULL)
      .u16(TPM_ST.HASHCHECK)
      .u32(TPM_RH.NULL)
      .u16(0)
      .bytes(),
  });
  return parameters.raw(parameters.remaining, 'signature');
}

function readAttestation(parameters: Reader): Attestation {
  const attest = parameters.sized16('attest', MAX_ATTEST_BYTES);
  return { attest, signature: parameters.raw(parameters.remaining, 'signature') };
}
