import { AssayError } from '../core/errors.ts';
import type { Database } from '../platform/database/index.ts';
import type { EnrolmentProtocol } from '../platform/database/schema.ts';
import type { EnrolmentLimits } from './config.ts';
import type { Candidate } from './domain/candidate.ts';
import { isRightAnswer, makeChallenge } from './domain/challenge.ts';
import { examineIdentity, type IdentityClaim } from './domain/identity.ts';
import type { TrustStore } from './domain/trust-store.ts';
import { completeEnrolment } from './store/complete.ts';
import {
  findEnrolment,
  findKeylimeEnrolments,
  type OpenEnrolment,
  openEnrolment,
  spendEnrolment,
} from './store/enrolments.ts';

export interface EnrolmentDeps {
  readonly database: Database;
  readonly trust: TrustStore;
  readonly limits: EnrolmentLimits;
  readonly randomBytes: (length: number) => Uint8Array;
  readonly newId: () => string;
}

export interface OpenRequest {
  readonly claim: IdentityClaim;
  readonly protocol: EnrolmentProtocol;
  /** requesterNetwork of the address. */
  readonly network: string;
  /** The one right answer for a secret. */
  readonly answer: (secret: Uint8Array) => Uint8Array;
}

export interface OpenedEnrolment {
  readonly id: string;
  readonly candidate: Candidate;
  /** Credential in the file format of tpm2-tools. */
  readonly blob: Uint8Array;
}

/** Enrolment, whatever protocol asks for it: a challenge, and one answer to it. */
export interface Enrolments {
  /** @throws {AssayError} `identity-refused`, `malformed`, `invalid-request`, `rate-limited` */
  open(request: OpenRequest): Promise<OpenedEnrolment>;
  /** @returns the node's id. @throws {AssayError} `challenge-unknown`, `activation-failed`, `identity-refused`, `conflict` */
  activate(id: string, answer: Uint8Array): Promise<string>;
  /**
   * The same for Keylime, where an answer names no challenge: the newest open ones of this alias from the same network
   * are tried, and a wrong answer spends the newest. Challenges asked for from elsewhere are out of its reach.
   */
  activateAlias(alias: string, network: string, answer: Uint8Array): Promise<string>;
}

export function createEnrolments(deps: EnrolmentDeps): Enrolments {
  const { database } = deps;
  return {
    open: (request) => open(deps, request),
    async activate(id, answer) {
      const found = await findEnrolment(database.db, id);
      return answerOne(database, found ? [found] : [], answer);
    },
    async activateAlias(alias, network, answer) {
      return answerOne(database, await findKeylimeEnrolments(database.db, alias, network), answer);
    },
  };
}

async function open(deps: EnrolmentDeps, request: OpenRequest): Promise<OpenedEnrolment> {
  const { claim, protocol, network, answer } = request;
  const candidate = examineIdentity(claim, await deps.trust.judge());
  const { blob, proofSha256 } = makeChallenge(candidate, answer, deps.randomBytes);
  const id = deps.newId();
  await deps.database.transaction((tx) =>
    openEnrolment(tx, { id, protocol, network, candidate, proofSha256 }, deps.limits),
  );
  return { id, candidate, blob };
}

async function answerOne(
  database: Database,
  candidates: readonly OpenEnrolment[],
  answer: Uint8Array,
): Promise<string> {
  const [newest] = candidates;
  if (!newest) throw unknownChallenge();
  const chosen = candidates.find((candidate) => isRightAnswer(answer, candidate.proofSha256));
  if (!chosen) {
    await spendEnrolment(database.db, newest.id);
    throw new AssayError(
      'activation-failed',
      'the answer is not the one that this challenge asks for; the challenge is spent, enrol again',
      { details: [{ rule: 'ak.activation', message: 'the TPM did not prove that it holds both EK and AK' }] },
    );
  }
  return complete(database, chosen.id);
}

async function complete(database: Database, enrolmentId: string): Promise<string> {
  try {
    return await database.transaction(async (tx) => {
      const spent = await spendEnrolment(tx, enrolmentId);
      if (!spent) throw unknownChallenge();
      await completeEnrolment(tx, spent);
      return spent.candidate.nodeId;
    });
  } catch (error) {
    // What was written is undone, but the answer was given: a challenge is answered once.
    if (error instanceof AssayError && error.code !== 'unavailable')
      await spendEnrolment(database.db, enrolmentId);
    throw error;
  }
}

function unknownChallenge(): AssayError {
  return new AssayError(
    'challenge-unknown',
    'there is no open challenge for this answer: it expired, was answered, or was never asked; enrol again',
  );
}
