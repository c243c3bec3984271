import type { SpireServer } from '../../platform/spire/server.ts';
import type { BanTarget, WantedBan } from '../bans/reconciler.ts';

/** A SPIRE server, and the groups whose nodes attest there. */
export interface SpirePlace {
  readonly server: Pick<SpireServer, 'name' | 'ban' | 'forget'>;
  /** Absent: every node. */
  readonly groups: ReadonlySet<string> | undefined;
}

/** The path of a node's agent: what the template of `assay spire snippet` makes of the issuer's name. */
function agentPath(nodeId: string): string {
  return `/spire/agent/x509pop/${nodeId}`;
}

/**
 * Bans in SPIRE. An agent that never attested cannot be banned there: it is tried again every few seconds for as long as
 * the node is to be banned, so that one that attests with material from before the failure has its SVID for moments.
 */
export function spireBanTarget(places: readonly SpirePlace[]): BanTarget {
  const placesOf = ({ group }: WantedBan) =>
    places.filter(({ groups }) => groups === undefined || (group !== null && groups.has(group)));
  return {
    async ban(ban) {
      const path = agentPath(ban.nodeId);
      const waiting: string[] = [];
      for (const { server } of placesOf(ban)) if (!(await server.ban(path))) waiting.push(server.name);
      if (waiting.length === 0) return undefined;
      return `the agent has not attested at ${waiting.join(', ')}: it is banned as soon as it does`;
    },
    async unban(ban) {
      const path = agentPath(ban.nodeId);
      for (const { server } of placesOf(ban)) await server.forget(path);
    },
  };
}
