import { randomUUID } from 'node:crypto';
import { SHARD_COUNT } from '../core/identity.ts';
import { imaKernel } from '../core/ima/kernel/kernel.ts';
import type { RandomBytes } from '../core/tpm/seed.ts';
import type { Database } from '../platform/database/index.ts';
import { PinnedPool } from '../platform/http/pinned-pool.ts';
import type { TlsMaterial } from '../platform/http/server.ts';
import type { SpiffeAccess } from '../platform/http/spiffe-listener.ts';
import { shardLeases } from '../platform/leases.ts';
import { Lifecycle } from '../platform/lifecycle.ts';
import type { Logger } from '../platform/logging.ts';
import { startLoop } from '../platform/loop.ts';
import type { Metrics } from '../platform/metrics.ts';
import type { JobQueue } from '../platform/queue/index.ts';
import type { ResultSigner } from '../platform/results/signer.ts';
import type { appraise } from '../policies/appraise.ts';
import { createVerifierApp } from './app.ts';
import { ATTEST_CHANNEL } from './attest-once.ts';
import { banClones, CLONE_CHANNEL } from './clone-watch.ts';
import { resolveVerifierConfig, type VerifierConfig, type VerifierSection } from './config.ts';
import { inBulk } from './domain/nonce.ts';
import { openEventFeed } from './event-feed.ts';
import { sweepHistory } from './history-sweep.ts';
import { type VerifierMetrics, verifierMetrics } from './metrics.ts';
import { enqueueNotice, enqueueUntold, workNotices } from './notify-job.ts';
import { PollingEngine } from './polling/engine.ts';
import { logKeeper } from './polling/log-keeper.ts';
import { type PolicyBook, policyBook } from './polling/policy-book.ts';
import { keepBootLog, touchBootLog } from './store/boot-logs.ts';
import { fillJudges, POLICY_CHANNEL } from './store/policies.ts';
import { assayPull } from './transport/assay-pull.ts';
import { evidenceSource } from './transport/evidence-source.ts';
import { keylimePull } from './transport/keylime-pull.ts';
import { openWebhooks } from './webhooks/config.ts';
import { startWebhooks } from './webhooks/webhooks.ts';

export interface VerifierDependencies {
  readonly config: VerifierSection;
  /** What paths of the configuration are relative to; default: where the process runs. */
  readonly directory?: string;
  /** Migrated. Its owner closes it. */
  readonly database: Database;
  /** Its owner closes it. */
  readonly queue: JobQueue;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** The certificate is also what agents accept the verifier by. */
  readonly tls: TlsMaterial;
  readonly spiffe?: SpiffeAccess;
  /** Signs results; without it none is given out. */
  readonly resultSigner?: ResultSigner | undefined;
  readonly randomBytes: RandomBytes;
  /** Milliseconds of a clock that never goes back: `performance.now`. */
  readonly monotonicNow?: () => number;
  /** In place of the real one, for tests of what happens when it throws. */
  readonly appraise?: typeof appraise;
}

export interface Verifier {
  readonly url: string;
  /** Numbers of the polling engine, for benchmarks and tests. */
  readonly stats: PollingEngine['stats'];
  close(): Promise<void>;
}

const ATTEST_SLACK_MS = 3000;
const UNTOLD_MS = 60_000;
const SWEEP_MS = 3_600_000;

/** Starts a verifier: any number of them share the nodes of one database. */
export async function startVerifier(deps: VerifierDependencies): Promise<Verifier> {
  const config = resolveVerifierConfig(deps.config);
  const { database, logger } = deps;
  const parts = new Lifecycle(logger);
  try {
    const { certificate, key } = deps.tls;
    const pool = parts.own('agents', new PinnedPool({ certificate, key, dial: config.dial }));
    const policies = policyBook(database, logger, config.policySigners);
    await fillJudges(database.db);
    await policies.refresh();
    const notify = (nodeId: string, epoch: number) =>
      enqueueNotice(deps.queue, { nodeId, epoch }).catch((error: unknown) => {
        logger.warn({ err: error, node: nodeId }, 'an agent could not be told yet');
      });
    const metrics = verifierMetrics(deps.metrics);
    const engine = createEngine(deps, config, { policies, pool, notify, metrics });
    const events = parts.own('events', await openEventFeed(database, logger));
    const webhooks = await startWebhooks(
      await openWebhooks(deps.config.webhooks ?? [], deps.directory ?? '.'),
      { database, logger, onOutcome: metrics.webhook },
    );
    parts.own('webhooks', webhooks);
    const attestTimeoutMs = config.timeoutMs + ATTEST_SLACK_MS;
    const app = await createVerifierApp(
      { tls: deps.tls, logger },
      {
        ...{ database, events, webhooks, notify, attestTimeoutMs, logger, url: config.url },
        policySigners: config.policySigners,
        resultSigner: deps.resultSigner,
      },
      deps.metrics,
    );
    parts.own('http', app);
    await workNotices(deps.queue, database, pool);
    await listen(parts, database, engine, policies, logger);
    await engine.start();
    parts.own('engine', engine);
    maintain(parts, deps, config, metrics);
    await followClones(parts, deps, notify);
    const address = await app.listenAt(config.listen, deps.spiffe);
    // Port 0 is whatever was free.
    const url = config.listen.port === 0 ? address : config.url;
    logger.info({ url, ...engine.stats }, 'verifier is ready');
    return {
      url,
      get stats() {
        return engine.stats;
      },
      close: () => parts.close(),
    };
  } catch (error) {
    await parts.close();
    throw error;
  }
}

interface EngineParts {
  readonly policies: PolicyBook;
  readonly pool: PinnedPool;
  readonly notify: (nodeId: string, epoch: number) => Promise<void>;
  readonly metrics: VerifierMetrics;
}

function createEngine(
  deps: VerifierDependencies,
  config: VerifierConfig,
  { policies, pool, notify, metrics }: EngineParts,
): PollingEngine {
  const { database, logger, randomBytes, appraise } = deps;
  const owner = randomUUID();
  const pull = { pool, timeoutMs: config.timeoutMs, maxBytes: config.maxAnswerBytes };
  const monotonicNow = deps.monotonicNow ?? (() => performance.now());
  const engine = new PollingEngine({
    ...{ config, database, owner, policies, logger, randomBytes: inBulk(randomBytes) },
    leases: shardLeases(database, owner, SHARD_COUNT, config.leaseMs),
    source: evidenceSource({ assay: assayPull(pull), keylime: keylimePull(pull) }),
    keepLogs: logKeeper({
      keep: (sha256, bytes) => keepBootLog(database.db, sha256, bytes),
      touch: (sha256) => touchBootLog(database.db, sha256),
      now: monotonicNow,
      onFault: (error) => logger.error({ err: error }, 'a boot log could not be kept'),
    }),
    now: monotonicNow,
    random: Math.random,
    onTrustEnded: ({ record: { id } }, { findings }, { epoch, standing }) => {
      logger.info({ node: id, standing, reasons: findings }, 'trust has ended');
      void notify(id, epoch);
    },
    onVerdict: metrics.verdict,
    onBatch: metrics.batch,
    onRejudged: metrics.rejudged,
    ...(appraise ? { appraise } : {}),
  });
  metrics.watch(engine);
  // Assembled once, now: the first measurement list does not wait for it.
  imaKernel();
  return engine;
}

/** What is nobody's turn: any verifier does it, for all nodes. */
function maintain(
  parts: Lifecycle,
  { database, queue, logger }: VerifierDependencies,
  { history: retention }: VerifierConfig,
  metrics: VerifierMetrics,
): void {
  const untold = () => enqueueUntold(queue, database);
  const sweep = (signal: AbortSignal) =>
    sweepHistory({ database, retention, signal, onRemoved: metrics.removed });
  const own = (name: string, intervalMs: number, run: (signal: AbortSignal) => Promise<void>) =>
    parts.own(name, startLoop({ name, run: onceIn(run), intervalMs, debounceMs: 0, logger }));
  own('untold agents', UNTOLD_MS, untold);
  own('old verdicts', SWEEP_MS, sweep);
}

/** Those of before the start, and those whose notice was lost, are found by the timer. */
async function followClones(
  parts: Lifecycle,
  { database, logger }: VerifierDependencies,
  notify: (nodeId: string, epoch: number) => Promise<void>,
): Promise<void> {
  const run = onceIn(() => banClones(database, (nodeId, epoch) => void notify(nodeId, epoch)));
  const loop = startLoop({ name: 'clones', run, intervalMs: UNTOLD_MS, debounceMs: 0, logger });
  parts.own('clones', loop);
  parts.own('clone notices', await database.listen(CLONE_CHANNEL, () => loop.wake()));
}

/** For a loop that has no other time than its interval. */
const onceIn = (run: (signal: AbortSignal) => Promise<void>) => async (signal: AbortSignal) => {
  await run(signal);
  return undefined;
};

/** What others change comes as notices; an empty one means that some may be lost. */
async function listen(
  parts: Lifecycle,
  database: Database,
  engine: PollingEngine,
  policies: PolicyBook,
  logger: Logger,
): Promise<void> {
  const followPolicies = async () => {
    if (await policies.refresh()) engine.policiesChanged();
  };
  const orWarn = (work: Promise<void>) =>
    void work.catch((error: unknown) => logger.warn({ err: error }, 'a notice could not be followed'));
  const onNode = (id: string) => (id === '' ? orWarn(engine.everythingChanged()) : engine.nodeChanged(id));
  parts.own('nodes', await database.listen('assay_node', onNode));
  parts.own(
    'attest',
    await database.listen(ATTEST_CHANNEL, (asked) => {
      const [id = '', extent] = asked.split(' ');
      engine.attestNow(id, extent === 'whole');
    }),
  );
  parts.own('policies', await database.listen(POLICY_CHANNEL, () => orWarn(followPolicies())));
  const refresh = setInterval(() => orWarn(followPolicies()), POLICY_REFRESH_MS);
  parts.own('policy refresh', { close: async () => clearInterval(refresh) });
}

/** A notice can get lost with its connection. */
const POLICY_REFRESH_MS = 60_000;
