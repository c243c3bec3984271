import type { KeyObject } from 'node:crypto';
import { type DsseEnvelope, isDsse, parseDsse, verifyDsse } from '../../core/dsse.ts';
import { AssayError, ParseError } from '../../core/errors.ts';

/** What an envelope around a policy says that it holds. */
export const POLICY_TYPE = 'application/vnd.assay.policy.v1+yaml';

/** A policy as it is stored: plain, or in a DSSE envelope. */
export interface OpenedPolicy {
  /** The document. */
  readonly text: string;
  readonly envelope?: DsseEnvelope;
}

/**
 * Takes a policy out of its envelope, if it is in one. Says nothing of who signed: see `signersOf`.
 *
 * @throws {AssayError} `invalid-policy` for an envelope that is broken or holds something else
 */
export function openPolicy(stored: string): OpenedPolicy {
  if (!isDsse(stored)) return { text: stored };
  try {
    const envelope = parseDsse(stored);
    if (envelope.payloadType !== POLICY_TYPE) {
      throw new AssayError(
        'invalid-policy',
        `the envelope holds ${envelope.payloadType}, ${POLICY_TYPE} is expected`,
      );
    }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(envelope.payload), envelope };
  } catch (cause) {
    if (cause instanceof AssayError && !(cause instanceof ParseError)) throw cause;
    const message = `the envelope of the policy is broken: ${(cause as Error).message}`;
    throw new AssayError('invalid-policy', message, { cause });
  }
}

/** Keys that may sign policies, by the group whose nodes they are for; `*` for groups that are not named. */
export type PolicySigners = ReadonlyMap<string, readonly KeyObject[]>;

/** The keys of a group; undefined where unsigned policies count. */
function signersFor(signers: PolicySigners, group: string): readonly KeyObject[] | undefined {
  return signers.get(group) ?? signers.get('*');
}

/** Rule `policy.signed`: whether a policy counts for the nodes of a group. */
export function isSignedFor({ envelope }: OpenedPolicy, signers: PolicySigners, group: string): boolean {
  const keys = signersFor(signers, group);
  if (keys === undefined) return true;
  return envelope !== undefined && verifyDsse(envelope, keys).length > 0;
}
