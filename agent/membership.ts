import { AssayError } from '../core/errors.ts';
import { NodeSelf } from '../core/messages/enrolment.ts';
import type { Backoff } from '../platform/backoff.ts';
import type { OnAgentEvent } from './events.ts';
import type { ServiceClient } from './service-client.ts';
import type { StoredNode } from './state-store.ts';

export interface MembershipDependencies {
  readonly registrar: Pick<ServiceClient, 'get'>;
  /** What was enrolled before, if that is still what would be enrolled now. */
  readonly remembered: () => Promise<StoredNode | undefined>;
  /** Enrols and remembers. */
  readonly enrol: () => Promise<NodeSelf>;
  readonly onEvent: OnAgentEvent;
  /** For things that are expected to change soon: a server that starts, a person who approves. */
  readonly soon: Backoff;
  /** For refusals, which only somebody's act changes. */
  readonly slow: Backoff;
}

/**
 * Brings the node to where a certificate can be asked for: on record, bound to its TPM, and admitted.
 * Keeps trying until then, or until the signal.
 */
export async function becomeMember(
  deps: MembershipDependencies,
  signal: AbortSignal,
  options: { readonly enrolAnew: boolean },
): Promise<NodeSelf | undefined> {
  let mustEnrol = options.enrolAnew;
  let told = '';
  while (!signal.aborted) {
    try {
      const self = mustEnrol ? await deps.enrol() : await currentRecord(deps);
      mustEnrol = false;
      if (isAdmitted(self)) return admitted(deps, self);
      if (told !== self.admission) {
        deps.onEvent({ step: 'waiting', nodeId: self.nodeId, admission: self.admission });
        told = self.admission;
      }
      await deps.soon.sleep(signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      mustEnrol ||= isUnknown(error);
      report(deps, error);
      await (isRefusal(error) ? deps.slow : deps.soon).sleep(signal);
    }
  }
  return undefined;
}

/** A retired node goes on: what it may not have, the issuer refuses, and an admin may take it back. */
function isAdmitted({ state }: NodeSelf): boolean {
  return state !== 'pending';
}

async function currentRecord(deps: MembershipDependencies): Promise<NodeSelf> {
  const remembered = await deps.remembered();
  return remembered === undefined ? deps.enrol() : deps.registrar.get('/v1/nodes/self', NodeSelf);
}

function admitted({ onEvent, soon, slow }: MembershipDependencies, self: NodeSelf): NodeSelf {
  soon.reset();
  slow.reset();
  onEvent({ step: 'admitted', nodeId: self.nodeId, group: self.group, admission: self.admission });
  return self;
}

function isUnknown(error: unknown): boolean {
  return error instanceof AssayError && error.code === 'unauthenticated';
}

function isRefusal(error: unknown): boolean {
  return error instanceof AssayError && error.code !== 'unavailable' && !isUnknown(error);
}

function report({ onEvent }: MembershipDependencies, error: unknown): void {
  const code = error instanceof AssayError ? error.code : 'internal';
  const message = error instanceof Error ? error.message : String(error);
  onEvent({ step: 'enrolment-failed', code, message });
}
