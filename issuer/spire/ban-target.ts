import type { BanTarget } from '../bans/reconciler.ts';
import { agentPath, placesOf, type SpirePlace } from './places.ts';

/**
 * Bans in SPIRE. An agent that never attested cannot be banned there: it is tried again every few seconds for as long as
 * the node is to be banned, so that one that attests with material from before the failure has its SVID for moments.
 */
export function spireBanTarget(places: readonly SpirePlace[]): BanTarget {
  return {
    async ban(ban) {
      const path = agentPath(ban.nodeId);
      const waiting: string[] = [];
      for (const { server } of placesOf(places, ban.group))
        if (!(await server.ban(path))) waiting.push(server.name);
      if (waiting.length === 0) return undefined;
      return `the agent has not attested at ${waiting.join(', ')}: it is banned as soon as it does`;
    },
    async unban(ban) {
      const path = agentPath(ban.nodeId);
      for (const { server } of placesOf(places, ban.group)) await server.forget(path);
    },
  };
}
