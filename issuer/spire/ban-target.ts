import { AssayError } from '../../core/errors.ts';
import { agentPath } from '../../platform/spire/agent-path.ts';
import type { BanTarget } from '../bans/reconciler.ts';
import { placesOf, type SpirePlace } from './places.ts';

/**
 * Bans in SPIRE, at each server where the node may attest: one that is away holds up no other. An agent that never
 * attested cannot be banned there: it is tried again every few seconds for as long as the node is to be banned, so that
 * one that attests with material from before the failure has its SVID for moments.
 */
export function spireBanTarget(places: readonly SpirePlace[]): BanTarget {
  return {
    async ban(ban) {
      const path = agentPath(ban.nodeId);
      const waiting: string[] = [];
      await atEach(placesOf(places, ban.group), async ({ server }) => {
        if (!(await server.ban(path))) waiting.push(server.name);
      });
      if (waiting.length === 0) return undefined;
      return `the agent has not attested at ${waiting.join(', ')}: it is banned as soon as it does`;
    },
    async unban(ban) {
      const path = agentPath(ban.nodeId);
      await atEach(placesOf(places, ban.group), ({ server }) => server.forget(path));
    },
  };
}

/** All at once. @throws {AssayError} `unavailable` with everything that went wrong, after all were tried */
async function atEach(
  places: readonly SpirePlace[],
  act: (place: SpirePlace) => Promise<unknown>,
): Promise<void> {
  const results = await Promise.allSettled(places.map(act));
  const causes = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (causes.length === 0) return;
  const texts = causes.map((cause) => (cause instanceof Error ? cause.message : String(cause)));
  throw new AssayError('unavailable', texts.join('; '), { cause: causes[0] });
}
