import type { NodeSelf } from '../core/messages/enrolment.ts';
import type { AgentConfig, HostPort } from './config.ts';
import { enrol, type Registration, registrationDigest } from './enrolment.ts';
import type { OnAgentEvent } from './events.ts';
import type { NodeTpm } from './node-tpm-port.ts';
import type { ServiceClient } from './service-client.ts';
import type { StateStore, StoredNode } from './state-store.ts';
import type { TlsIdentity } from './tls-identity.ts';

export interface Enrolling {
  readonly config: Pick<AgentConfig, 'registrar' | 'joinToken'>;
  readonly state: StateStore;
  readonly tpm: NodeTpm;
  readonly registrar: ServiceClient;
  readonly registration: Registration;
  readonly onEvent: OnAgentEvent;
}

export function registrationOf(alias: string, contact: HostPort, tls: TlsIdentity): Registration {
  return { alias, contact, tlsCertificate: tls.certificate };
}

/** What an earlier run enrolled, if enrolling now would say the same. */
export async function rememberedNode(deps: Omit<Enrolling, 'onEvent'>): Promise<StoredNode | undefined> {
  const { config, state, tpm, registration } = deps;
  const stored = await state.readNode();
  const isSame =
    stored?.registrar === config.registrar && stored.registered === registrationDigest(tpm, registration);
  return isSame ? stored : undefined;
}

/** A join token is worth one enrolment: later ones go by the record. */
export async function enrolAndRemember(deps: Enrolling): Promise<NodeSelf> {
  const { config, state, tpm, registration } = deps;
  const before = await state.readNode();
  const token = before?.admitted === true ? undefined : config.joinToken;
  const self = await enrol(deps, registration, token);
  await state.writeNode({
    nodeId: self.nodeId,
    version: self.version,
    admitted: self.state !== 'pending',
    registrar: config.registrar,
    registered: registrationDigest(tpm, registration),
  });
  return self;
}

export function tellTpm({ ek, ak }: NodeTpm, onEvent: OnAgentEvent): void {
  onEvent({
    step: 'ek-checked',
    template: ek.template,
    hasCertificate: ek.certificates.length > 0,
    chainLength: Math.max(0, ek.certificates.length - 1),
    ekSha256: ek.sha256,
  });
  onEvent({ step: 'ak-ready', algorithm: ak.algorithm, created: ak.created });
}
