import { mkdir } from 'node:fs/promises';
import type { Logger } from '../platform/logging.ts';
import type { AgentConfig, HostPort } from './config.ts';
import { logEvent } from './event-log.ts';
import type { AgentEvent, OnAgentEvent } from './events.ts';
import { type AgentPorts, realPorts } from './ports.ts';
import { AgentRun } from './run.ts';
import { StateStore } from './state-store.ts';

export interface AgentOptions {
  readonly config: AgentConfig;
  readonly logger?: Logger;
  /** Told of each step, in order. Must not throw. */
  readonly onEvent?: OnAgentEvent;
  /** Clock, randomness and TPM in place of the real ones. */
  readonly ports?: Partial<AgentPorts>;
}

export interface RunningAgent {
  /** Undefined until the registrar has named the node. */
  nodeId(): string | undefined;
  /** Where the agent listens; undefined until it does. */
  address(): HostPort | undefined;
  /**
   * Ends the agent and closes what it opened. Node material stays, since it ends by itself in minutes and
   * SPIRE Agent may need it over a restart.
   */
  close(): Promise<void>;
}

/**
 * Starts an agent and returns at once; what is missing (TPM, network, servers, admission) is waited for.
 * Several agents can run in one process.
 *
 * @throws {AssayError} `invalid-config` when its directories or the owner of the material are not usable
 */
export async function startAgent(options: AgentOptions): Promise<RunningAgent> {
  const { config, logger } = options;
  const ports: AgentPorts = { ...realPorts, ...options.ports };
  const onEvent = (event: AgentEvent) => {
    if (logger !== undefined) logEvent(logger, event);
    options.onEvent?.(event);
  };
  const state = await StateStore.open(config.stateDirectory);
  await mkdir(config.material.directory, { recursive: true, mode: 0o755 });
  const stop = new AbortController();
  const run = await AgentRun.prepare({ config, ports, state, onEvent });
  const running = run.untilAborted(stop.signal);
  return {
    nodeId: () => run.nodeId,
    address: () => run.address,
    async close() {
      stop.abort();
      await running;
    },
  };
}
