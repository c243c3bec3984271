import { hash } from 'node:crypto';
import { join } from 'node:path';
import { type RunningAgent, startAgent } from '../agent/agent.ts';
import { type AgentConfig, loadConfig } from '../agent/config.ts';
import type { AgentEvent, AgentStep } from '../agent/events.ts';
import { pcrExtend } from '../agent/tpm/commands/pcr.ts';
import { findEndorsementKey } from '../agent/tpm/endorsement.ts';
import { Tpm } from '../agent/tpm/tpm.ts';
import { spkiOf } from '../core/tpm/key.ts';
import { type RunningSwtpm, startSwtpm } from '../tpm-sim/swtpm/process.ts';
import { provisionSwtpm } from '../tpm-sim/swtpm/provision.ts';
import { eventually } from './story.ts';

type EventOf<S extends AgentStep> = Extract<AgentEvent, { readonly step: S }>;

export interface DemoNodeOptions {
  readonly name: string;
  readonly directory: string;
  /** Directory of the CA that makes the EK certificates. */
  readonly manufacturer: string;
  readonly registrar: string;
  readonly pin: string;
}

/** A node with a software TPM of its own. */
export class DemoNode {
  readonly name: string;
  readonly #options: DemoNodeOptions;
  readonly #swtpm: RunningSwtpm;
  #events: AgentEvent[] = [];
  #agent: RunningAgent | undefined;

  private constructor(options: DemoNodeOptions, swtpm: RunningSwtpm) {
    this.name = options.name;
    this.#options = options;
    this.#swtpm = swtpm;
  }

  static async make(options: DemoNodeOptions): Promise<DemoNode> {
    const tpm = join(options.directory, 'tpm');
    await provisionSwtpm(tpm, { ca: options.manufacturer, vmId: options.name });
    return new DemoNode(options, await startSwtpm(tpm, { transport: 'unix' }));
  }

  get material(): string {
    return join(this.#options.directory, 'run', 'node.pem');
  }

  /** SHA-256 of the EK's SubjectPublicKeyInfo, hex: what an inventory holds. Before the agent starts. */
  async ekSha256(): Promise<string> {
    const tpm = await Tpm.open(this.#swtpm.address);
    try {
      const ek = await findEndorsementKey(tpm);
      return hash('sha256', spkiOf(ek.public));
    } finally {
      await tpm.close();
    }
  }

  async start(joinToken?: string): Promise<void> {
    this.#events = [];
    this.#agent = await startAgent({
      config: this.#config(joinToken),
      onEvent: (event) => this.#events.push(event),
    });
  }

  /** The nth event of a step since the agent started. */
  until<S extends AgentStep>(step: S, count = 1, timeoutMs = 30_000): Promise<EventOf<S>> {
    const find = () => this.#events.filter((event): event is EventOf<S> => event.step === step)[count - 1];
    return eventually(`"${step}" on ${this.name}`, async () => find(), timeoutMs);
  }

  /** What an intruder cannot undo: a PCR only grows. The agent is stopped meanwhile, since a bare TPM has one client. */
  async tamper(pcr: number, digest: Uint8Array): Promise<void> {
    await this.#agent?.close();
    const tpm = await Tpm.open(this.#swtpm.address);
    await tpm.use((channel) => pcrExtend(channel, pcr, 'sha256', digest));
    await tpm.close();
    await this.start();
  }

  async close(): Promise<void> {
    await this.#agent?.close();
    await this.#swtpm.stop();
  }

  #config(joinToken?: string): AgentConfig {
    const { directory, registrar, pin, name } = this.#options;
    const config = loadConfig({
      file: undefined,
      flags: {
        ...{
          registrar,
          ca: pin,
          tpm: this.#swtpm.address,
          alias: name,
          listen: '127.0.0.1:0',
          contact: '127.0.0.1:0',
        },
        stateDir: join(directory, 'state'),
        materialDir: join(directory, 'run'),
      },
      ...(joinToken === undefined ? {} : { token: joinToken }),
    });
    return { ...config, material: { ...config.material, leafTtlMs: 10_000 } };
  }
}
