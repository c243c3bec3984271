import { isUnavailable } from '../../platform/database/index.ts';
import type { Logger } from '../../platform/logging.ts';
import { nextDelay, type Random, retryDelay, UNASSIGNED } from '../scheduler/timing.ts';
import type { FailOutcome } from '../store/fails.ts';
import type { Failure, Judgement } from './judgement.ts';
import type { PolicyBook } from './policy-book.ts';
import type { PolledNode } from './polled-node.ts';
import type { Poller } from './poller.ts';
import type { ResultWriter } from './result-writer.ts';

export interface AttesterOptions {
  readonly poll: Poller;
  /** A round of a banned node. */
  readonly probation: (node: PolledNode) => Promise<number>;
  readonly policies: PolicyBook;
  readonly results: Pick<ResultWriter, 'submit' | 'discard'>;
  readonly recordFail: (failure: Failure) => Promise<FailOutcome>;
  /** After trust ended: the agent is told, and what was kept for the node is let go. */
  readonly onTrustEnded: (node: PolledNode, failure: Failure, end: NonNullable<FailOutcome>) => void;
  readonly onStale: (nodeId: string) => void;
  readonly onVerdict: (outcome: 'pass' | 'fail' | 'inconclusive') => void;
  readonly random: Random;
  readonly logger: Logger;
}

/** A fail that the database could not take yet is kept and comes before any other verdict of that node. */
const RETRY_MS = 1000;

/** One round of a node: asks, judges, and sees to it that the verdict is recorded. Answers when it is due again. */
export function attester(options: AttesterOptions): (node: PolledNode) => Promise<number> {
  return async (node) => {
    if (node.trust.standing === 'banned') return options.probation(node);
    const unrecorded = node.unrecorded;
    const judgement = unrecorded ?? (await askTwice(options.poll, node));
    // Lost while it was asked: another process judges it now.
    if (node.gone) return RETRY_MS;
    node.warm = isAnswer(judgement);
    if (!unrecorded) options.onVerdict(outcomeOf(judgement));
    if (judgement.kind === 'fail') return failed(options, node, judgement);
    if (judgement.kind === 'extend') {
      node.clock = judgement.clock;
      node.ima = judgement.ima;
      node.boot = judgement.boot;
      node.passes += 1;
    }
    options.results.submit(node, judgement);
    return delayAfter(options, node, judgement);
  };
}

/** A connection that was kept may have been closed at the other end: only a new one tells whether the node is there. */
async function askTwice(poll: Poller, node: PolledNode): Promise<Judgement> {
  const first = await poll(node);
  const broken = first.kind === 'undecided' && first.findings.some(({ rule }) => rule === 'node.unreachable');
  return broken && node.warm && !node.gone ? poll(node) : first;
}

/** Ends trust, and answers when the node is due again. */
export async function failed(
  options: Omit<AttesterOptions, 'poll' | 'probation' | 'onVerdict'>,
  node: PolledNode,
  failure: Failure,
): Promise<number> {
  const { results, recordFail, onTrustEnded, onStale, logger } = options;
  // A pass that was not written yet must not follow the fail.
  results.discard(failure.record.id);
  node.unrecorded = failure;
  const end = await recordFail(failure).catch((error: unknown) => {
    if (isUnavailable(error)) return 'later' as const;
    // Nothing of it can be written, now or later; the next poll sees the same node.
    logger.error({ err: error, node: failure.record.id }, 'a fail could not be recorded');
    return undefined;
  });
  if (end === 'later') return RETRY_MS;
  node.unrecorded = undefined;
  if (!end) {
    onStale(failure.record.id);
    return delayAfter(options, node, failure);
  }
  node.clock = failure.clock ?? node.clock;
  // All of it is shown again, whatever was judged before.
  node.ima = undefined;
  node.boot = undefined;
  node.trust = { ...node.trust, epoch: end.epoch, standing: end.standing, outcome: 'fail', trustedUntil: 0 };
  if (end.event) onTrustEnded(node, failure, end);
  return delayAfter(options, node, failure);
}

function delayAfter(
  { policies, random }: Pick<AttesterOptions, 'policies' | 'random'>,
  node: PolledNode,
  judgement: Judgement,
): number {
  const intervalMs = (policies.policyFor(node.record)?.policy.freshness ?? UNASSIGNED).intervalMs;
  node.failures = judgement.kind === 'undecided' && judgement.policy ? node.failures + 1 : 0;
  return node.failures > 0 ? retryDelay(node.failures, intervalMs, random) : nextDelay(intervalMs, random);
}

// Only a whole answer says that the connection is there.
function isAnswer(judgement: Judgement): boolean {
  return judgement.kind !== 'undecided';
}

function outcomeOf(judgement: Judgement): 'pass' | 'fail' | 'inconclusive' {
  if (judgement.kind === 'undecided') return 'inconclusive';
  return judgement.kind === 'fail' ? 'fail' : judgement.outcome;
}
