import type { Logger } from '../../platform/logging.ts';
import type { RecoveryRule } from '../../policies/policy.ts';
import { countPass, recoveredBy } from '../domain/recovery.ts';
import { nextDelay, type Random, UNASSIGNED } from '../scheduler/timing.ts';
import type { Judgement } from './judgement.ts';
import type { PolicyBook } from './policy-book.ts';
import type { PolledNode } from './polled-node.ts';
import type { Poller } from './poller.ts';

/** A ban that the node's policy, as it is now, lifts. */
export interface Recovered {
  readonly nodeId: string;
  readonly epoch: number;
  readonly rule: RecoveryRule;
  readonly passes: number;
  /** `name@version`. */
  readonly policy: string;
}

export interface ProbationOptions {
  readonly poll: Poller;
  readonly policies: PolicyBook;
  /** Records it, unless somebody else changed the node meanwhile. */
  readonly recover: (recovered: Recovered) => Promise<void>;
  readonly random: Random;
  readonly logger: Logger;
}

/**
 * One round of a banned node whose policy has a way back. It is judged as any other, but what it shows gives it nothing:
 * no trust, no certificate; only enough passes in a row lift the ban, and then it has to pass again to be trusted.
 */
export function probation(options: ProbationOptions): (node: PolledNode) => Promise<number> {
  const { poll, policies, recover, random, logger } = options;
  return async (node) => {
    const assigned = policies.policyFor(node.record);
    const recovery = assigned?.policy.recovery;
    if (!assigned || !recovery) return UNASSIGNED.intervalMs;
    const delay = nextDelay(assigned.policy.freshness.intervalMs, random);
    const judgement = await poll(node);
    if (node.gone || judgement.epoch !== node.trust.epoch) return delay;
    follow(node, judgement);
    const rule = recoveredBy(recovery, node.recovery);
    if (rule === undefined) return delay;
    const { id: nodeId } = node.record;
    const policy = `${assigned.name}@${assigned.version}`;
    const passes = node.recovery.get(rule) ?? 0;
    try {
      await recover({ nodeId, epoch: node.trust.epoch, rule, passes, policy });
    } catch (error) {
      logger.warn({ err: error, node: nodeId }, 'a ban could not be lifted yet');
    }
    return delay;
  };
}

function follow(node: PolledNode, judgement: Judgement): void {
  // No answer is neither a pass nor a fail.
  if (judgement.kind === 'undecided') return;
  if (judgement.kind === 'fail' || judgement.outcome !== 'pass') {
    node.recovery = new Map();
    node.ima = undefined;
    node.boot = undefined;
    return;
  }
  const { clock, nodeVersion } = node.trust;
  const atBan = { resetCount: clock?.resetCount, nodeVersion };
  const now = { resetCount: judgement.clock.resetCount, nodeVersion: judgement.record.version };
  node.recovery = countPass(node.recovery, atBan, now);
  node.clock = judgement.clock;
  node.ima = judgement.ima;
  node.boot = judgement.boot;
}
