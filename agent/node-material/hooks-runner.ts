import type { MaterialConfig } from '../config.ts';
import type { AgentEvent, OnAgentEvent } from '../events.ts';
import { type HookCommand, runHook } from './hooks.ts';

/**
 * Runs the configured commands after what happened to node material, one after the other, beside the
 * agent's own work.
 */
export class HooksRunner {
  readonly #config: MaterialConfig;
  readonly #nodeId: () => string | undefined;
  readonly #onEvent: OnAgentEvent;
  #queue: Promise<void> = Promise.resolve();

  constructor(config: MaterialConfig, nodeId: () => string | undefined, onEvent: OnAgentEvent) {
    this.#config = config;
    this.#nodeId = nodeId;
    this.#onEvent = onEvent;
  }

  /** Takes note of an event; starts a hook if one belongs to it. */
  see(event: AgentEvent): void {
    const { onChange, onRevoke } = this.#config;
    if (event.step === 'material-written') this.#enqueue('on-change', onChange, event.path);
    else if (event.step === 'destroyed') this.#enqueue('on-revoke', onRevoke, event.path, event.reason);
  }

  /** Waits for hooks that are under way or were due. */
  async close(): Promise<void> {
    await this.#queue;
  }

  #enqueue(
    hook: 'on-change' | 'on-revoke',
    command: HookCommand | undefined,
    path: string,
    reason?: string,
  ): void {
    if (command === undefined) return;
    const environment = {
      ASSAY_HOOK: hook,
      ASSAY_NODE_ID: this.#nodeId() ?? '',
      ASSAY_MATERIAL: path,
      ...(reason === undefined ? {} : { ASSAY_REASON: reason }),
    };
    this.#queue = this.#queue.then(async () => {
      const result = await runHook(command, { timeoutMs: this.#config.hookTimeoutMs, environment });
      this.#onEvent({ step: 'hook', hook, ...result });
    });
  }
}
