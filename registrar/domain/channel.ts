import { AssayError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import type { Admission, EnrolmentProtocol } from '../../platform/database/schema.ts';
import type { Candidate } from './candidate.ts';

const RULE = 'quote.channel';

/** What people should know of a node whose quotes say nothing of its TLS key. */
export function channelNotes(
  { tlsCertificate }: Pick<Candidate, 'tlsCertificate'>,
  protocol: EnrolmentProtocol,
): readonly Finding[] {
  if (protocol !== 'keylime' || tlsCertificate === null) return [];
  const message =
    "enrolled through Keylime's registration: its quotes bind the agent's payload key and not its TLS key, so that only the registered mtls_cert says whose connection they come through";
  return [{ rule: RULE, message }];
}

/**
 * A node whose quotes bind its TLS key does not go back to less by itself: Keylime's registration binds neither TLS
 * key nor address to the TPM.
 *
 * @throws {AssayError} `identity-refused`
 */
export function checkChannelKept(
  before: { readonly admission: Admission; readonly protocol: EnrolmentProtocol | null },
  protocol: EnrolmentProtocol,
): void {
  if (protocol !== 'keylime' || before.protocol !== 'assay' || before.admission !== 'admitted') return;
  const message =
    "the node is enrolled with its TLS key bound to its TPM, which Keylime's registration cannot do; to run a stock agent on it, retire the node, register, and approve it";
  throw new AssayError('identity-refused', message, { details: [{ rule: RULE, message }] });
}
