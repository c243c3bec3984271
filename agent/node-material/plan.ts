/** A certificate that is held: when it ends, and when it should be replaced. */
export interface Span {
  readonly notAfter: Date;
  readonly renewAt: Date;
}

/** The leaf in the file. */
export interface HeldLeaf extends Span {
  /** Whether it is under the intermediate that is held: if not, it must go over to that. */
  readonly current: boolean;
}

export interface MaterialState {
  /** The registrar knows us and has admitted us, so that there is somebody to ask for. */
  readonly mayAsk: boolean;
  /** The node CA certificate whose key can be used now. */
  readonly intermediate: Span | undefined;
  /** The leaf in the file; it may have outlived the intermediate of a process before this one. */
  readonly leaf: HeldLeaf | undefined;
  /** The issuer is being asked now. */
  readonly asking: boolean;
  /** The issuer is not asked before. */
  readonly askAt: Date;
  /** No leaf is minted before. */
  readonly mintAt: Date;
  /** What is over is not destroyed before: the last attempt did not work. */
  readonly destroyAt: Date;
}

export type Step =
  | { readonly do: 'destroy' }
  | { readonly do: 'obtain' }
  | { readonly do: 'mint' }
  | { readonly do: 'wait'; readonly milliseconds: number };

export const SHORTEST_WAIT_MS = 1_000;
/** A suspended machine or a set clock must not keep an expired key on disk for long. */
const LONGEST_WAIT_MS = 15_000;
/** No pause is as long as this: a time that is further away was set before the clock went back. */
const FURTHEST_MS = 10 * 60_000;

/** What to do now. A wait is never shorter than a second, so nothing that is late can become a busy loop. */
export function planStep(state: MaterialState, now: Date): Step {
  const { intermediate, leaf, askAt, mintAt, destroyAt } = state;
  const mayDestroy = isDue(destroyAt, now);
  if (intermediate !== undefined && intermediate.notAfter <= now && mayDestroy) return { do: 'destroy' };
  const mayMint = intermediate !== undefined && isDue(mintAt, now);
  if (leaf !== undefined && leaf.notAfter <= now && !mayMint && mayDestroy) return { do: 'destroy' };
  const canAsk = state.mayAsk && !state.asking && isDue(askAt, now);
  if (canAsk && wantsIntermediate(intermediate, now)) return { do: 'obtain' };
  if (mayMint && mintTime(leaf, intermediate) <= now) return { do: 'mint' };
  return { do: 'wait', milliseconds: waitFor([...wakeTimes(state)], now) };
}

/**
 * Half of the time that is left from now, give or take a tenth of it, so that nodes that were started
 * together do not renew together. Counted from receipt, because NotBefore is back-dated.
 */
export function halfLife(now: Date, notAfter: Date, random: () => number): Date {
  const left = Math.max(0, notAfter.getTime() - now.getTime());
  return new Date(now.getTime() + left * (0.4 + random() / 5));
}

function wantsIntermediate(intermediate: Span | undefined, now: Date): boolean {
  return intermediate === undefined || intermediate.renewAt <= now;
}

function isDue(at: Date, now: Date): boolean {
  return at <= now || at.getTime() - now.getTime() > FURTHEST_MS;
}

/** A leaf that lasts as long as its intermediate gains nothing from being made again. */
function mintTime(leaf: HeldLeaf | undefined, intermediate: Span): Date {
  if (leaf === undefined || !leaf.current) return new Date(0);
  return leaf.notAfter < intermediate.notAfter ? leaf.renewAt : intermediate.notAfter;
}

function* wakeTimes(state: MaterialState): Generator<Date> {
  const { mayAsk, asking, intermediate, leaf, askAt, mintAt, destroyAt } = state;
  if (mayAsk && !asking) yield later(intermediate?.renewAt ?? askAt, askAt);
  if (intermediate !== undefined) {
    yield intermediate.notAfter;
    yield later(mintTime(leaf, intermediate), mintAt);
  }
  if (leaf !== undefined) yield later(leaf.notAfter, destroyAt);
}

function later(a: Date, b: Date): Date {
  return a > b ? a : b;
}

function waitFor(times: readonly Date[], now: Date): number {
  const next = Math.min(...times.map((time) => time.getTime())) - now.getTime();
  return Math.min(Math.max(next, SHORTEST_WAIT_MS), LONGEST_WAIT_MS);
}
