import { hash } from 'node:crypto';
import { equalBytes } from '../../core/bytes/encoding.ts';
import { makeCredential, renderCredentialBlob } from '../../core/tpm/credential.ts';
import { parseTpm2bPublic } from '../../core/tpm/public.ts';
import type { Candidate } from './candidate.ts';

/** Not longer than the digest of any EK's name algorithm that is accepted. */
const SECRET_BYTES = 32;

export interface Challenge {
  /** The credential in the file format of tpm2-tools. */
  readonly blob: Uint8Array;
  /** SHA-256 of the one right answer. */
  readonly proofSha256: Uint8Array;
}

/**
 * A secret that only the TPM which holds both the EK and the AK can read (TPM2_MakeCredential). The secret itself is
 * not kept (rule `ak.activation`).
 *
 * @param answer the one right answer for a secret: the bytes that the protocol sends back
 */
export function makeChallenge(
  candidate: Candidate,
  answer: (secret: Uint8Array) => Uint8Array,
  randomBytes: (length: number) => Uint8Array,
): Challenge {
  const secret = randomBytes(SECRET_BYTES);
  const credential = makeCredential({
    ek: parseTpm2bPublic(candidate.ekPublic),
    objectName: candidate.akName,
    secret,
    randomBytes,
  });
  return { blob: renderCredentialBlob(credential), proofSha256: proofHash(answer(secret)) };
}

/** Whether `answer` is the right one. Hashes are compared, in constant time: neither shows where they differ. */
export function isRightAnswer(answer: Uint8Array, proofSha256: Uint8Array): boolean {
  return equalBytes(proofHash(answer), proofSha256);
}

function proofHash(answer: Uint8Array): Uint8Array {
  return new Uint8Array(hash('sha256', answer, 'buffer'));
}
