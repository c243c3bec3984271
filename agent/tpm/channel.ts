import type { TpmCommand, TpmResponse } from './command.ts';
import { flushContext } from './commands/startup.ts';

/** Carries out single commands: all that the functions in commands/ need. */
export interface TpmSender {
  execute(command: TpmCommand): Promise<TpmResponse>;
}

export interface ChannelDependencies extends TpmSender {
  /** Handles that outlive the piece of work; shared by all channels of a Tpm. */
  readonly kept: Set<number>;
  readonly onReset: () => void;
}

/**
 * The TPM during one piece of work: executes commands and remembers what they loaded, so that it is
 * flushed at the end.
 */
export class TpmChannel implements TpmSender {
  readonly #execute: (command: TpmCommand) => Promise<TpmResponse>;
  readonly #kept: Set<number>;
  readonly #onReset: () => void;
  readonly #own = new Set<number>();

  constructor({ execute, kept, onReset }: ChannelDependencies) {
    this.#execute = execute;
    this.#kept = kept;
    this.#onReset = onReset;
  }

  async execute(command: TpmCommand): Promise<TpmResponse> {
    const response = await this.#execute(command);
    if (command.returnsHandle === true) this.#remember(response.handle);
    for (const auth of command.auths ?? []) if (auth.type === 'policy') this.#own.delete(auth.session);
    return response;
  }

  /** Flushes one handle now, because its slot is needed. */
  async flush(handle: number): Promise<void> {
    this.forget(handle);
    await flushContext(this, handle);
  }

  /** Flushes a handle that may be gone already, whatever comes of it. */
  async release(handle: number): Promise<void> {
    await this.flush(handle).catch(() => {});
  }

  /** The TPM says that it does not have this handle. */
  forget(handle: number): void {
    this.#own.delete(handle);
    this.#kept.delete(handle);
  }

  /** Takes an object out of the flushing at the end: it stays loaded until `flush` or a reset. */
  keep(handle: number): void {
    if (this.#own.delete(handle)) this.#kept.add(handle);
  }

  /** Flushes what this channel loaded. A handle that is gone already is as good. */
  async flushAll(): Promise<void> {
    for (const handle of [...this.#own]) await this.release(handle);
  }

  #remember(handle: number): void {
    // A TPM gives out a handle that we hold only when it has lost ours: it was reset behind our back.
    if (this.#kept.has(handle) || this.#own.has(handle)) {
      this.#own.clear();
      this.#onReset();
    }
    this.#own.add(handle);
  }
}
