import { hash } from 'node:crypto';
import { equalBytes, fromHex } from '../../core/bytes/encoding.ts';
import { Writer } from '../../core/bytes/writer.ts';
import { AssayError } from '../../core/errors.ts';
import { digestSize, type HashName, TPM_CC, TPM_RH } from '../../core/tpm/constants.ts';
import type { TpmtPublic } from '../../core/tpm/public.ts';
import type { TpmSender } from './channel.ts';
import { EMPTY_AUTH, type TpmAuth } from './command.ts';
import { policyOr, policySecret, startPolicySession } from './commands/session.ts';

/**
 * PolicyC (TCG EK Credential Profile 2.5, B.6.4), the branch of PolicyB that we never take: an NV index
 * that the platform's maker controls. In fixed form, because it cannot be computed from anything here.
 */
const POLICY_C: Readonly<Record<HashName, string | undefined>> = {
  sha1: undefined,
  sha256: '3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde',
  sha384: 'd6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165',
  sha512:
    '589ee1e146544716e8deafe6db247b01b81e9f9c7dd16b814aa159138749105fba5388dd1dea702f35240c184933121e2c61b8f50d3ef91393a49a38c3f73fc8',
};

type PolicyProtected = Pick<TpmtPublic, 'nameAlg' | 'authPolicy'>;

/**
 * Satisfies the policy of an EK: PolicyA of the low-range templates (the endorsement hierarchy's
 * password), PolicyB of the high-range ones (PolicyA or PolicyC).
 *
 * @returns an authorisation good for one command
 * @throws {AssayError} `unavailable` for an EK with a policy that no TCG template has
 */
export async function authorizeEk(
  tpm: TpmSender,
  ek: PolicyProtected,
  endorsementAuth: TpmAuth = EMPTY_AUTH,
): Promise<TpmAuth> {
  const branches = policyBranches(ek);
  const session = await startPolicySession(tpm, ek.nameAlg);
  await policySecret(tpm, session, TPM_RH.ENDORSEMENT, endorsementAuth);
  if (branches.length > 0) await policyOr(tpm, session, branches);
  return { type: 'policy', session };
}

/** Digests for TPM2_PolicyOR; none when the policy is PolicyA itself. */
export function policyBranches({ nameAlg, authPolicy }: PolicyProtected): readonly Uint8Array[] {
  const policyA = ekPolicyA(nameAlg);
  if (equalBytes(authPolicy, policyA)) return [];
  const policyC = POLICY_C[nameAlg];
  if (policyC !== undefined) {
    const branches = [policyA, fromHex(policyC, 'PolicyC')];
    if (equalBytes(authPolicy, ekPolicyOr(nameAlg, branches))) return branches;
  }
  throw new AssayError('unavailable', 'the EK has an authorisation policy that no TCG template has');
}

/** TPM2_PolicySecret(endorsement hierarchy) on a fresh session (TPM 2.0 Part 3, 23.4). */
function ekPolicyA(nameAlg: HashName): Uint8Array {
  const update = startOf(nameAlg).u32(TPM_CC.PolicySecret).u32(TPM_RH.ENDORSEMENT);
  // The policyRef, which is empty, is hashed in a step of its own.
  return digest(nameAlg, digest(nameAlg, update.bytes()));
}

/** TPM2_PolicyOR (TPM 2.0 Part 3, 23.6). */
function ekPolicyOr(nameAlg: HashName, branches: readonly Uint8Array[]): Uint8Array {
  const update = startOf(nameAlg).u32(TPM_CC.PolicyOR);
  for (const branch of branches) update.raw(branch);
  return digest(nameAlg, update.bytes());
}

function startOf(nameAlg: HashName): Writer {
  return new Writer().raw(new Uint8Array(digestSize(nameAlg)));
}

function digest(nameAlg: HashName, bytes: Uint8Array): Uint8Array {
  return hash(nameAlg, bytes, 'buffer');
}
