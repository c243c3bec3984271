/** 0 to 1. */
export type Random = () => number;

const SOON_MS = 1000;
const FIRST_RETRY_MS = 2000;
const JITTER = 0.05;

export interface Freshness {
  readonly intervalMs: number;
  readonly trustForMs: number;
}

/** When nobody has said yet how often. */
export const UNASSIGNED: Freshness = { intervalMs: 60_000, trustForMs: 120_000 };

/** Wait after a verdict: the interval, a little more or less, so that nodes that once met drift apart. */
export function nextDelay(intervalMs: number, random: Random): number {
  return intervalMs * (1 - JITTER + 2 * JITTER * random());
}

/**
 * Wait after the n-th poll in a row that decided nothing: at first shorter than the interval, since trust is running
 * out, in the end twice as long.
 */
export function retryDelay(failures: number, intervalMs: number, random: Random): number {
  const first = Math.min(FIRST_RETRY_MS, intervalMs / 2);
  const wait = Math.min(2 * intervalMs, first * 2 ** Math.min(failures - 1, 30));
  return wait * (0.75 + random() / 2);
}

/**
 * Wait before the first poll of a node that was just taken over, spread out so that a whole fleet is not asked at
 * once: over the interval, over less when trust ends sooner, and a moment for a node that is not trusted.
 *
 * @param trustLeftMs how long the node is trusted still
 */
export function firstDelay(trustLeftMs: number, intervalMs: number, random: Random): number {
  const spread = trustLeftMs > 0 ? Math.min(intervalMs, trustLeftMs / 2) : Math.min(intervalMs, SOON_MS);
  return spread * random();
}
