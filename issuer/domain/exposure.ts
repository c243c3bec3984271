import type { NodeState } from '../../core/messages/common.ts';

/** What is known of what a node holds at one SPIRE server. */
export interface HeldAtServer {
  /** Null: SPIRE does not know the agent. */
  readonly agentSvidExpiresAt: Date | null;
  /** Since when it is banned there; null: it is not. */
  readonly bannedSince: Date | null;
  /** Of what hangs on the agent, each in seconds; empty: nothing does. */
  readonly workloadTtlsSeconds: readonly number[];
  /** The server's agent_ttl. */
  readonly agentTtlSeconds: number;
}

export interface NodeHolds {
  readonly state: NodeState;
  /** Of its last certificate, revoked or not: SPIRE reads no CRL. Null: it never had one. */
  readonly certificateExpiresAt: Date | null;
}

/** When nothing is valid any more. `open`: it gets new ones as long as things stay as they are. */
export type End = Date | 'open' | 'none';

export interface ExposureEnds {
  readonly agentSvid: End;
  /** The last SVID of a workload. */
  readonly workloads: End;
}

/**
 * Until when something that SPIRE gave to a node and its workloads is valid at the latest. A ban ends new SVIDs; without
 * one the agent can attest for as long as its last certificate is valid, and its workloads are served as long as that SVID is.
 */
export function exposureEnds(holds: NodeHolds, at: HeldAtServer, now: Date): ExposureEnds {
  const longest = Math.max(0, ...at.workloadTtlsSeconds);
  const workloadsAfter = (end: Date): End =>
    at.workloadTtlsSeconds.length === 0 ? 'none' : plus(end, longest);
  if (at.bannedSince) {
    const agentSvid = at.agentSvidExpiresAt ?? 'none';
    return { agentSvid, workloads: workloadsAfter(at.bannedSince) };
  }
  if (holds.state === 'trusted') {
    return { agentSvid: 'open', workloads: at.workloadTtlsSeconds.length === 0 ? 'none' : 'open' };
  }
  const { certificateExpiresAt: until } = holds;
  const next = until && until > now ? plus(until, at.agentTtlSeconds) : undefined;
  const ends = [at.agentSvidExpiresAt, next].filter((end) => end instanceof Date);
  if (ends.length === 0) return { agentSvid: 'none', workloads: 'none' };
  const agentSvid = new Date(Math.max(...ends.map((end) => end.getTime())));
  return { agentSvid, workloads: workloadsAfter(agentSvid) };
}

/** When the last of several ends. */
export function lastOf(ends: readonly End[]): End {
  if (ends.includes('open')) return 'open';
  const times = ends.filter((end) => end instanceof Date).map((end) => end.getTime());
  return times.length === 0 ? 'none' : new Date(Math.max(...times));
}

function plus(at: Date, seconds: number): Date {
  return new Date(at.getTime() + seconds * 1000);
}
