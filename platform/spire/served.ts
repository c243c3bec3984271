import type { SpireEntry } from './server.ts';

/** An agent, as far as it decides what it is served. */
export interface ServedAgent {
  /** `/spire/agent/…` */
  readonly path: string;
  readonly selectors: readonly string[];
}

/** SPIRE's own parent of node aliases. */
const SERVER_PATH = '/spire/server';
const MAX_PARENTS = 1000;

/**
 * What workloads on an agent may get, as SPIRE finds it: entries below the agent, below the node aliases whose selectors
 * the agent has, and below those entries in turn.
 *
 * @param entriesBelow entries by the path of their parent
 */
export async function servedEntries(
  entriesBelow: (parent: string) => Promise<readonly SpireEntry[]>,
  { path, selectors }: ServedAgent,
): Promise<readonly SpireEntry[]> {
  const own = new Set(selectors);
  const aliases = (await entriesBelow(SERVER_PATH)).filter(
    (alias) => alias.selectors.length > 0 && alias.selectors.every((selector) => own.has(selector)),
  );
  const found = new Map<string, SpireEntry>();
  const parents = new Set([path, ...aliases.map(pathOf)]);
  // A set is walked to its end, also over what is added on the way: a loop of entries is one round.
  for (const parent of parents) {
    for (const entry of await entriesBelow(parent)) {
      found.set(entry.id, entry);
      if (parents.size < MAX_PARENTS) parents.add(pathOf(entry));
    }
  }
  return [...found.values()];
}

function pathOf({ spiffeId }: SpireEntry): string {
  return new URL(spiffeId).pathname;
}
