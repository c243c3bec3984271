import type { Standing } from '../../platform/database/schema.ts';
import type { Reaction } from '../../policies/policy.ts';
import type { Verdict } from '../../policies/verdict.ts';

type Fail = Extract<Verdict, { outcome: 'fail' }>;

/**
 * What a fail leads to. A policy may only report its own rules: evidence that is broken ends trust at least until
 * better evidence comes. A clone is banned under every policy, because asking again cannot tell the two apart.
 */
export function effectOf(verdict: Pick<Fail, 'byPolicy' | 'findings'>, reaction: Reaction): Reaction {
  if (verdict.findings.some(({ rule }) => rule === 'id.clone')) return 'ban';
  return reaction === 'report' && !verdict.byPolicy ? 'stop' : reaction;
}

export interface TrustState {
  readonly epoch: number;
  readonly standing: Standing;
}

/** How a row of node_trust changes when trust ends. */
export interface TrustEnd extends TrustState {
  /** The event that ends the epoch; absent when trust had ended before and nothing new is revoked. */
  readonly event?: 'failed' | 'banned';
}

/**
 * Ends trust. Whatever was issued belongs to an epoch, and the epoch ends with it; a second fail in a row has
 * nothing to revoke. A ban is never weakened to a fail.
 */
export function endTrust({ epoch, standing }: TrustState, effect: 'ban' | 'stop'): TrustEnd {
  if (standing === 'banned' || (standing === 'failed' && effect === 'stop')) return { epoch, standing };
  return effect === 'ban'
    ? { epoch: epoch + 1, standing: 'banned', event: 'banned' }
    : { epoch: epoch + 1, standing: 'failed', event: 'failed' };
}
