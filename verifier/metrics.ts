import type { Metrics } from '../platform/metrics.ts';
import type { PollingEngine } from './polling/engine.ts';

export interface VerifierMetrics {
  verdict(outcome: 'pass' | 'fail' | 'inconclusive'): void;
  batch(rows: number): void;
  /** Nodes that were judged by kept evidence, after a change of policy. */
  rejudged(outcome: 'fail' | 'pass' | 'ask'): void;
  webhook(name: string, outcome: 'delivered' | 'failed'): void;
  /** Old verdicts that were deleted. */
  removed(outcome: 'pass' | 'fail' | 'inconclusive', rows: number): void;
  /** Reads the engine's numbers whenever metrics are asked for. */
  watch(engine: Pick<PollingEngine, 'stats'>): void;
}

const BATCH_BUCKETS = [1, 5, 20, 100, 500];

export function verifierMetrics(metrics: Metrics): VerifierMetrics {
  const verdicts = metrics.counter('verifier_verdicts_total', 'Verdicts by outcome', ['outcome']);
  const batches = metrics.histogram('verifier_batch_rows', 'Results written together', BATCH_BUCKETS);
  const removals = metrics.counter('verifier_history_removed_total', 'Old verdicts deleted', ['outcome']);
  const rejudged = metrics.counter(
    'verifier_rejudged_total',
    'Nodes judged by kept evidence after a change of policy',
    ['outcome'],
  );
  const webhooks = metrics.counter('verifier_webhook_attempts_total', 'Messages to webhooks', [
    'webhook',
    'outcome',
  ]);
  const gauges = {
    nodes: metrics.gauge('verifier_nodes', 'Nodes that this process attests'),
    shards: metrics.gauge('verifier_shards', 'Shards that this process holds'),
    inFlight: metrics.gauge('verifier_polls_in_flight', 'Attestations under way'),
    unwritten: metrics.gauge('verifier_results_unwritten', 'Results that wait to be written'),
    late: metrics.gauge('verifier_lateness_seconds', 'How long the node that was due first has been waiting'),
  };
  return {
    verdict: (outcome) => verdicts.inc({ outcome }),
    rejudged: (outcome) => rejudged.inc({ outcome }),
    webhook: (webhook, outcome) => webhooks.inc({ webhook, outcome }),
    batch: (rows) => batches.observe(rows),
    removed: (outcome, rows) => removals.inc({ outcome }, rows),
    watch(engine) {
      Object.assign(gauges.nodes, {
        collect() {
          const { nodes, shards, inFlight, unwritten, latenessMs } = engine.stats;
          gauges.nodes.set(nodes);
          gauges.shards.set(shards);
          gauges.inFlight.set(inFlight);
          gauges.unwritten.set(unwritten);
          gauges.late.set(latenessMs / 1000);
        },
      });
    },
  };
}
