import Type from 'typebox';
import { AssayError } from '../core/errors.ts';
import type { NodeSelf } from '../core/messages/enrolment.ts';
import type { AgentConfig, HostPort } from './config.ts';
import { enrolAndRemember, registrationOf, rememberedNode, tellTpm } from './enrolled.ts';
import type { Registration } from './enrolment.ts';
import type { AgentEvent, OnAgentEvent } from './events.ts';
import type { FileOwner } from './files.ts';
import { becomeMember, type MembershipDependencies } from './membership.ts';
import type { NodeAuthority } from './node-material/authority.ts';
import { checkNodeCa } from './node-material/certificates.ts';
import { HooksRunner } from './node-material/hooks-runner.ts';
import { obtainAuthority } from './node-material/issue.ts';
import { MaterialKeeper } from './node-material/keeper.ts';
import { materialFiles } from './node-material/material-files.ts';
import { mintMaterial } from './node-material/mint.ts';
import type { NodeTpm } from './node-tpm-port.ts';
import { resolveOwner } from './owner.ts';
import type { AgentPorts } from './ports.ts';
import { agentBackoff, describe, untilDone } from './retry.ts';
import { type AgentServer, startAgentServer } from './server.ts';
import { loadServiceCa } from './service-ca.ts';
import { createServiceClient, type ServiceClient } from './service-client.ts';
import type { StateStore } from './state-store.ts';
import { loadTlsIdentity, type TlsIdentity } from './tls-identity.ts';

export interface RunDependencies {
  readonly config: AgentConfig;
  readonly ports: AgentPorts;
  readonly state: StateStore;
  readonly onEvent: OnAgentEvent;
}

/** Things that change by themselves soon. */
const SOON = { firstMs: 1_000, longestMs: 15_000 };
/** Things that only somebody's act changes. */
const SLOW = { firstMs: 5_000, longestMs: 60_000 };
const Discovery = Type.Object({ issuer: Type.String() });

/** What there is once TPM and servers have been found. */
interface Parts {
  readonly tls: TlsIdentity;
  readonly ca: string;
  readonly tpm: NodeTpm;
  readonly registrar: ServiceClient;
  readonly registration: Registration;
}

/** One agent from its start to its end: puts the parts together and keeps them going. */
export class AgentRun {
  readonly #deps: RunDependencies;
  readonly #keeper: MaterialKeeper;
  readonly #hooks: HooksRunner;
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #clients: ServiceClient[] = [];
  #parts: Parts | undefined;
  #tpm: NodeTpm | undefined;
  #issuer: ServiceClient | undefined;
  #nodeId: string | undefined;
  #address: HostPort | undefined;
  #unknown = Promise.withResolvers<void>();

  /** Checks what can be checked before anything is started. */
  static async prepare(deps: RunDependencies): Promise<AgentRun> {
    const owner = await resolveOwner(deps.config.material);
    const remembered = await deps.state.readNode();
    return new AgentRun(deps, owner, remembered?.nodeId);
  }

  private constructor(deps: RunDependencies, owner: FileOwner | undefined, nodeId: string | undefined) {
    const { config, ports } = deps;
    this.#nodeId = nodeId;
    this.#hooks = new HooksRunner(config.material, () => this.#nodeId, deps.onEvent);
    const onEvent = (event: AgentEvent) => {
      deps.onEvent(event);
      this.#hooks.see(event);
    };
    this.#deps = { ...deps, onEvent };
    this.#keeper = new MaterialKeeper({
      ...{ now: ports.now, random: ports.random, pause: ports.pause, onEvent },
      obtain: () => this.#obtain(),
      mint: (authority) => mintMaterial(authority, { now: ports.now(), ...config.material }),
      store: materialFiles({
        ...{ directory: config.material.directory, owner, now: ports.now },
        nodeId: () => this.#nodeId,
        destroyKey: () => this.#destroyKey(),
      }),
      backoffs: { soon: agentBackoff(ports, SOON), slow: agentBackoff(ports, SLOW) },
      onUnknown: () => this.#unknown.resolve(),
    });
  }

  get nodeId(): string | undefined {
    return this.#nodeId;
  }

  get address(): HostPort | undefined {
    return this.#address;
  }

  async untilAborted(signal: AbortSignal): Promise<void> {
    // From the first moment: what an earlier run left must not outlive its end.
    const keeping = this.#keeper.run(signal);
    signal.addEventListener('abort', () => void this.#closeClients());
    try {
      await this.#live(signal);
    } finally {
      await keeping;
      await this.#hooks.close();
      await this.#closeClients();
      for (const close of this.#closers.reverse()) await close().catch(() => {});
    }
  }

  /** Ends requests that are under way, for which nobody wants to wait at the end. */
  async #closeClients(): Promise<void> {
    for (const client of this.#clients) await client.close().catch(() => {});
  }

  async #live(signal: AbortSignal): Promise<void> {
    const parts = await this.#gather(signal);
    if (parts === undefined) return;
    this.#parts = parts;
    const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    const waits = agentBackoff(this.#deps.ports, SOON);
    for (let enrolAnew = false; !signal.aborted; enrolAnew = true) {
      this.#unknown = Promise.withResolvers();
      const self = await becomeMember(this.#membership(parts), signal, { enrolAnew });
      if (self === undefined) return;
      this.#nodeId = self.nodeId;
      this.#keeper.allow();
      await Promise.race([this.#unknown.promise, aborted]);
      // A registrar that knows us and an issuer that does not must not make us run in circles.
      await waits.sleep(signal);
    }
  }

  /** Opens what is needed, in the order in which one needs the other, and waits for what is not there. */
  async #gather(signal: AbortSignal): Promise<Parts | undefined> {
    const { config, ports, state, onEvent } = this.#deps;
    const attempt = <T>(part: string, work: () => Promise<T>) =>
      untilDone(part, work, { waits: agentBackoff(ports, SOON), onEvent, signal });
    const tls = await attempt('state', () => loadTlsIdentity(state, config.alias, ports.now()));
    const ca = await attempt('registrar', () => loadServiceCa(config.ca, config.registrar, state));
    const tpm = await attempt('tpm', () => this.#openTpm());
    if (tls === undefined || ca === undefined || tpm === undefined) return undefined;
    const server = await attempt('listen', () => this.#listen(tls, ca));
    if (server === undefined) return undefined;
    const registrar = createServiceClient({ url: config.registrar, name: 'registrar', ca, identity: tls });
    this.#clients.push(registrar);
    const { host, port } = config.contact;
    const contact = { host, port: port === 0 ? server.port : port };
    return { tls, ca, tpm, registrar, registration: registrationOf(config.alias, contact, tls) };
  }

  async #openTpm(): Promise<NodeTpm> {
    const { config, ports, state, onEvent } = this.#deps;
    const tpm = await ports.openTpm({ ...config, state });
    this.#closers.push(() => tpm.close());
    this.#tpm = tpm;
    tellTpm(tpm, onEvent);
    return tpm;
  }

  async #listen(tls: TlsIdentity, ca: string): Promise<AgentServer> {
    const { config, onEvent } = this.#deps;
    const server = await startAgentServer({
      ...config.listen,
      ...{ tls, clientCa: ca, logs: config.logs, bank: config.pcrBank, publicKeyPem: tls.publicKey },
      identity: () => ({ alias: config.alias, nodeId: this.#nodeId }),
      quoteSource: () => this.#tpm,
      onRevocation: ({ reasons = [] }) => this.#keeper.revoke(reasons),
      onQuote: (pcrs) => onEvent({ step: 'quoted', bank: config.pcrBank, pcrs }),
      onFault: (error) => onEvent({ step: 'trouble', part: 'quote', ...describe(error) }),
    });
    this.#closers.push(() => server.close());
    this.#address = { host: config.listen.host, port: server.port };
    onEvent({ step: 'listening', ...this.#address });
    return server;
  }

  #membership(parts: Parts): MembershipDependencies {
    const { ports, onEvent } = this.#deps;
    return {
      onEvent,
      registrar: parts.registrar,
      remembered: () => rememberedNode({ ...this.#deps, ...parts }),
      enrol: () => this.#enrol(parts),
      soon: agentBackoff(ports, SOON),
      slow: agentBackoff(ports, SLOW),
    };
  }

  async #enrol(parts: Parts): Promise<NodeSelf> {
    const self = await enrolAndRemember({ ...this.#deps, ...parts });
    // Another EK is another node: what the old one held is not its.
    if (this.#nodeId !== undefined && this.#nodeId !== self.nodeId) await this.#keeper.leave();
    this.#nodeId = self.nodeId;
    return self;
  }

  async #obtain(): Promise<NodeAuthority> {
    const { config, ports } = this.#deps;
    const [parts, nodeId] = [this.#parts, this.#nodeId];
    if (parts === undefined || nodeId === undefined) {
      throw new AssayError('unavailable', 'the node is not enrolled yet');
    }
    const issuer = await this.#issuerClient(parts);
    const { keyMode } = config.material;
    return obtainAuthority({ issuer, tpm: parts.tpm, keyMode, nodeId, now: ports.now(), check: checkNodeCa });
  }

  async #issuerClient({ registrar, ca, tls }: Parts): Promise<ServiceClient> {
    if (this.#issuer !== undefined) return this.#issuer;
    const url = this.#deps.config.issuer ?? (await registrar.get('/v1/discovery', Discovery)).issuer;
    const issuer = createServiceClient({ url, name: 'issuer', ca, identity: tls });
    this.#clients.push(issuer);
    this.#issuer = issuer;
    return issuer;
  }

  /** Also when the TPM has not been found: without its blobs nobody can use the key. */
  async #destroyKey(): Promise<void> {
    if (this.#tpm === undefined) await this.#deps.state.remove('node-ca.json');
    else await this.#tpm.destroyNodeCaKey();
  }
}
