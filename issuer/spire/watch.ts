import type { Logger } from '../../platform/logging.ts';
import { nodeOfAgent } from '../../platform/spire/agent-path.ts';
import { EARLY_SVIDS, looksCloned, type Sighting, seeSvid, WITHIN_MS } from '../domain/sightings.ts';
import type { SpirePlace } from './places.ts';

/** An agent that two machines seem to be. */
export interface SuspectedClone {
  readonly nodeId: string;
  readonly place: string;
  readonly message: string;
  /** Whether that is to end trust in the node. */
  readonly endsTrust: boolean;
}

export interface WatchOptions {
  readonly place: SpirePlace;
  /** Milliseconds. */
  readonly now: () => number;
  readonly onClone: (clone: SuspectedClone) => Promise<void>;
  readonly logger: Logger;
}

/** Looks at all agents of a SPIRE server that are nodes of ours, time and again. Restarted, it begins anew. */
export function spireWatch({ place, now, onClone, logger }: WatchOptions): () => Promise<void> {
  let known = new Map<string, Sighting>();
  return async () => {
    const at = now();
    const seen = new Map<string, Sighting>();
    for (const { path, svidSerial: serial, svidExpiresAt: expiresAt } of await place.server.agents()) {
      const nodeId = nodeOfAgent(path);
      if (nodeId === undefined) continue;
      const sighting = seeSvid(known.get(nodeId), { serial, expiresAt }, at);
      const isCloned = looksCloned(sighting);
      // Counted anew, so that it is said again while it goes on.
      seen.set(nodeId, isCloned ? { ...sighting, early: [] } : sighting);
      if (!isCloned) continue;
      const message = `SPIRE server ${place.server.name} gave this agent ${EARLY_SVIDS} SVIDs within ${WITHIN_MS / 60_000} minutes, each long before the last one was half used: its key and certificate are used in two places, or its spire-agent starts again and again`;
      logger.warn({ node: nodeId, place: place.server.name }, 'an agent looks cloned');
      await onClone({ nodeId, place: place.server.name, message, endsTrust: place.clones === 'ban' });
    }
    known = seen;
  };
}
