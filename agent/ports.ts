import { pause } from '../platform/backoff.ts';
import { type NodeTpmOptions, openNodeTpm } from './node-tpm.ts';
import type { NodeTpm } from './node-tpm-port.ts';

/** What an agent takes from outside besides files and network. */
export interface AgentPorts {
  readonly now: () => Date;
  /** 0 to 1. */
  readonly random: () => number;
  /** Ends early when the signal aborts; never throws. */
  readonly pause: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  readonly openTpm: (options: NodeTpmOptions) => Promise<NodeTpm>;
}

export const realPorts: AgentPorts = {
  now: () => new Date(),
  random: Math.random,
  pause,
  openTpm: openNodeTpm,
};
