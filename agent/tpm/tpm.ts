import { setTimeout as sleepFor } from 'node:timers/promises';
import { TPM_CC } from '../../core/tpm/constants.ts';
import { TpmChannel } from './channel.ts';
import { marshalCommand, parseResponse, type TpmCommand, type TpmResponse } from './command.ts';
import { getHandles, HANDLE_RANGE } from './commands/capability.ts';
import { selfTest, startup } from './commands/startup.ts';
import { TpmError } from './tpm-error.ts';
import { openTransport } from './transport/open.ts';
import type { SocketTransportOptions } from './transport/socket.ts';
import { type TpmTransport, TpmTransportError } from './transport/transport.ts';

/** Warnings that mean "send it again" (TPM 2.0 Part 2, section 6.6.3). */
const RETRY_CODES: ReadonlySet<string> = new Set([
  'TPM_RC_RETRY',
  'TPM_RC_TESTING',
  'TPM_RC_YIELDED',
  'TPM_RC_NV_RATE',
]);
const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 500;
/** Some ten seconds in all: a self-test takes less. */
const MAX_RETRIES = 28;

export interface TpmDependencies {
  readonly transport: TpmTransport;
  readonly sleep?: (milliseconds: number) => Promise<unknown>;
}

/**
 * A TPM for one program. Work on it is done inside `use`, one piece at a time; whatever a piece of work
 * loads is flushed when it ends, also when it fails, so the three slots of a bare TPM never fill up.
 */
export class Tpm {
  readonly #transport: TpmTransport;
  readonly #sleep: (milliseconds: number) => Promise<unknown>;
  /** Objects that outlive a piece of work: the loaded AK. */
  readonly #kept = new Set<number>();
  #queue: Promise<unknown> = Promise.resolve();
  #generation = 0;
  /** Without a resource manager: something of ours may be loaded that nobody knows of. */
  #leftovers: boolean;

  constructor({ transport, sleep = (ms) => sleepFor(ms) }: TpmDependencies) {
    this.#transport = transport;
    this.#sleep = sleep;
    this.#leftovers = transport.hasResourceManager !== true;
  }

  /** Opens the TPM at an address that `openTransport` knows. */
  static async open(address: string, options: SocketTransportOptions = {}): Promise<Tpm> {
    return new Tpm({ transport: await openTransport(address, options) });
  }

  /** Rises whenever the TPM is known to have lost all that was loaded. */
  get generation(): number {
    return this.#generation;
  }

  /** Runs `work` alone on the TPM, after all that was asked before it. Must not be nested. */
  use<T>(work: (channel: TpmChannel) => Promise<T>): Promise<T> {
    const result = this.#queue.then(() => this.#run(work));
    this.#queue = result.catch(() => {});
    return result;
  }

  /** Waits for work under way, flushes what was kept and closes the transport. */
  async close(): Promise<void> {
    await this.#queue;
    const channel = this.#openChannel();
    for (const handle of this.#kept) await channel.flush(handle).catch(() => {});
    await this.#transport.close();
  }

  async #run<T>(work: (channel: TpmChannel) => Promise<T>): Promise<T> {
    const channel = this.#openChannel();
    if (this.#leftovers) await this.#flushLeftovers(channel);
    try {
      return await work(channel);
    } finally {
      await channel.flushAll();
    }
  }

  #openChannel(): TpmChannel {
    return new TpmChannel({
      execute: (command) => this.#execute(command),
      kept: this.#kept,
      onReset: () => this.#forgetLoaded(),
    });
  }

  async #flushLeftovers(channel: TpmChannel): Promise<void> {
    this.#leftovers = false;
    try {
      for (const range of [HANDLE_RANGE.transient, HANDLE_RANGE.loadedSessions]) {
        for (const handle of await getHandles(channel, range)) {
          if (!this.#kept.has(handle)) await channel.flush(handle);
        }
      }
    } catch (error) {
      this.#leftovers = true;
      throw error;
    }
  }

  #forgetLoaded(): void {
    this.#generation += 1;
    this.#kept.clear();
  }

  /** Sends one command until the TPM answers it with something other than "not now". */
  async #execute(command: TpmCommand): Promise<TpmResponse> {
    let pause = FIRST_PAUSE_MS;
    let repaired = false;
    for (let retry = 0; ; retry += 1) {
      try {
        return await this.#once(command);
      } catch (error) {
        if (!(error instanceof TpmError) || retry >= MAX_RETRIES) throw error;
        if (RETRY_CODES.has(error.responseName)) await this.#sleep(pause);
        else if (repaired || !(await this.#repair(command, error))) throw error;
        else repaired = true;
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  /** A software TPM has no firmware that starts it after a reset, so we do. */
  async #repair(command: TpmCommand, error: TpmError): Promise<boolean> {
    if (command.code === TPM_CC.Startup || command.code === TPM_CC.SelfTest) return false;
    const sender = { execute: (inner: TpmCommand) => this.#once(inner) };
    if (error.responseName === 'TPM_RC_INITIALIZE') {
      this.#forgetLoaded();
      await startup(sender);
      return true;
    }
    if (error.responseName !== 'TPM_RC_NEEDS_TEST') return false;
    await selfTest(sender);
    return true;
  }

  async #once(command: TpmCommand): Promise<TpmResponse> {
    try {
      return parseResponse(command, await this.#transport.send(marshalCommand(command)));
    } catch (error) {
      // The command may have loaded something whose handle never reached us.
      if (error instanceof TpmTransportError) this.#leftovers = this.#transport.hasResourceManager !== true;
      throw error;
    }
  }
}
