const PORT = 9002;
const MAX_NODES = 65_000;

/** Address of the n-th node of a fleet: each has one of its own on loopback, and the agent's usual port. */
export function addressOf(index: number, network = 1): { readonly host: string; readonly port: number } {
  if (index >= MAX_NODES) throw new RangeError(`a fleet has at most ${MAX_NODES} nodes`);
  // .0 and .255 are left out: some resolvers and people take them for something else.
  return { host: `127.${network}.${Math.floor(index / 254)}.${(index % 254) + 1}`, port: PORT };
}
