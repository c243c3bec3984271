import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type RunningAgent, startAgent } from '../../../agent/agent.ts';
import { type AgentConfig, loadConfig } from '../../../agent/config.ts';
import type { QuoteRequest, QuoteResult } from '../../../agent/keylime/quotes.ts';
import { checkNodeCa } from '../../../agent/node-material/certificates.ts';
import { obtainAuthority } from '../../../agent/node-material/issue.ts';
import { type NodeTpmOptions, openNodeTpm } from '../../../agent/node-tpm.ts';
import type { NodeTpm } from '../../../agent/node-tpm-port.ts';
import { createServiceClient, type ServiceClient } from '../../../agent/service-client.ts';
import { freePort } from '../../../demo/ports.ts';
import { type RunningSwtpm, startSwtpm } from '../../../tpm-sim/swtpm/process.ts';
import { copySwtpmState, type PcrBankName, provisionSwtpm } from '../../../tpm-sim/swtpm/provision.ts';
import { EventRecorder } from '../../fakes/agent-events.ts';

/** What a node must be told of the services. */
export interface NodeServices {
  readonly registrar: string;
  readonly issuer: string;
  readonly pin: string;
  /** PEM of the service CA. */
  readonly ca: string;
}

export interface SwtpmNodeOptions {
  readonly name: string;
  /** TPM, state of the agent, and material: all of the node. */
  readonly directory: string;
  readonly services: NodeServices;
  /** Where the verifier reaches it, also after a restart. */
  readonly port: number;
}

/** What a changed agent puts between the TPM and the wire. */
export interface Mischief {
  quote?(tpm: NodeTpm, request: QuoteRequest): Promise<QuoteResult>;
  /** Parts of the TPM that it pretends to have. */
  disguise?(tpm: NodeTpm): Partial<NodeTpm>;
}

/** A node with a TPM in swtpm. Its agent runs in this process, unless a test runs one by itself. */
export class SwtpmNode {
  readonly options: SwtpmNodeOptions;
  readonly swtpm: RunningSwtpm;
  events = new EventRecorder();
  mischief: Mischief = {};
  #agent: RunningAgent | undefined;
  #tpm: NodeTpm | undefined;

  private constructor(options: SwtpmNodeOptions, swtpm: RunningSwtpm) {
    this.options = options;
    this.swtpm = swtpm;
  }

  /** A new TPM with EK certificates of the manufacturer in `ca`. */
  static async make(
    options: Omit<SwtpmNodeOptions, 'port'> & { readonly ca: string; readonly pcrBanks?: PcrBankName[] },
  ): Promise<SwtpmNode> {
    const { ca, pcrBanks = ['sha256'], name, directory } = options;
    await provisionSwtpm(join(directory, 'tpm'), { ca, pcrBanks, vmId: name });
    return SwtpmNode.boot({ ...options, port: await freePort() });
  }

  /** Starts the TPM that is in the directory. */
  static async boot(options: SwtpmNodeOptions): Promise<SwtpmNode> {
    return new SwtpmNode(options, await startSwtpm(join(options.directory, 'tpm'), { transport: 'unix' }));
  }

  /** What somebody takes who reads its disk and that of its TPM: both, as they are now. It does not run yet. */
  async copy(directory: string, port: number): Promise<SwtpmNodeOptions> {
    await copySwtpmState(join(this.options.directory, 'tpm'), join(directory, 'tpm'));
    await cp(this.stateDirectory, join(directory, 'state'), { recursive: true });
    return { ...this.options, directory, port };
  }

  get stateDirectory(): string {
    return join(this.options.directory, 'state');
  }

  get material(): string {
    return join(this.options.directory, 'run', 'node.pem');
  }

  get id(): string {
    const id = this.#agent?.nodeId();
    if (id === undefined) throw new Error(`${this.options.name} has no node id yet`);
    return id;
  }

  /** The honest one, while the agent runs. */
  get tpm(): NodeTpm {
    if (!this.#tpm) throw new Error(`${this.options.name} has not opened its TPM yet`);
    return this.#tpm;
  }

  async start(changes: Partial<AgentConfig> & { readonly token?: string } = {}): Promise<void> {
    const { token, ...rest } = changes;
    this.events = new EventRecorder();
    this.#agent = await startAgent({
      config: { ...this.#config(token), ...rest },
      onEvent: this.events.onEvent,
      ports: { openTpm: (options) => this.#openTpm(options) },
    });
  }

  async stop(): Promise<void> {
    await this.#agent?.close();
    this.#agent = undefined;
    this.#tpm = undefined;
  }

  async close(): Promise<void> {
    await this.stop();
    await this.swtpm.stop();
  }

  /** Asks the issuer once, apart from what the agent does. @throws {AssayError} the refusal */
  async askCertificate(issuer = this.options.services.issuer): Promise<{ readonly nodeId: string }> {
    const client = await this.client('issuer', issuer);
    try {
      const request = { issuer: client, tpm: this.tpm, keyMode: 'tpm', nodeId: this.id } as const;
      return await obtainAuthority({ ...request, now: new Date(), check: checkNodeCa });
    } finally {
      await client.close();
    }
  }

  /** A connection with the TLS identity of this node. */
  async client(name: 'registrar' | 'issuer', url = this.options.services[name]): Promise<ServiceClient> {
    const read = (file: string) => readFile(join(this.stateDirectory, file), 'utf8');
    const identity = { certificate: await read('tls.crt'), key: await read('tls.key') };
    return createServiceClient({ url, name, ca: this.options.services.ca, identity });
  }

  async #openTpm(options: NodeTpmOptions): Promise<NodeTpm> {
    const tpm = await openNodeTpm(options);
    this.#tpm = tpm;
    return {
      ...{ ek: tpm.ek, ak: tpm.ak, encAlg: tpm.encAlg, signAlg: tpm.signAlg },
      quote: (request) => (this.mischief.quote ?? honest)(tpm, request),
      activate: (credential) => tpm.activate(credential),
      nodeCaKey: () => tpm.nodeCaKey(),
      destroyNodeCaKey: () => tpm.destroyNodeCaKey(),
      close: () => tpm.close(),
      ...this.mischief.disguise?.(tpm),
    };
  }

  #config(token: string | undefined): AgentConfig {
    const { services, name, directory, port } = this.options;
    const place = `127.0.0.1:${port}`;
    const { material, ...config } = loadConfig({
      file: undefined,
      flags: {
        ...{ registrar: services.registrar, ca: services.pin, tpm: this.swtpm.address, alias: name },
        ...{ listen: place, contact: place },
        stateDir: this.stateDirectory,
        materialDir: join(directory, 'run'),
      },
      ...(token === undefined ? {} : { token }),
    });
    return { ...config, material, logs: { boot: null, userspace: null, ima: null, imaBinary: null } };
  }
}

function honest(tpm: NodeTpm, request: QuoteRequest): Promise<QuoteResult> {
  return tpm.quote(request);
}
