import { agentPath } from '../../platform/spire/agent-path.ts';
import type { BanPlace } from '../bans/reconciler.ts';
import type { SpirePlace } from './places.ts';

/**
 * Bans at a SPIRE server. An agent that never attested cannot be banned there: it is tried again every few seconds for
 * as long as the node is to be banned, so that one that attests with material from before the failure has its SVID for
 * moments.
 */
export function spireBanPlace({ server, groups }: SpirePlace): BanPlace {
  return {
    name: server.name,
    groups,
    ban: async (nodeId) => ((await server.ban(agentPath(nodeId))) ? undefined : NOT_ATTESTED),
    holds: async (nodeId) => (await server.agent(agentPath(nodeId)))?.banned === true,
    unban: async (nodeId) => {
      await server.forget(agentPath(nodeId));
      return undefined;
    },
  };
}

const NOT_ATTESTED = 'the agent has not attested there: it is banned as soon as it does';
