import { isNodeId, shardOf } from '../../core/identity.ts';
import type { RandomBytes } from '../../core/tpm/seed.ts';
import type { Database } from '../../platform/database/index.ts';
import type { ShardLeases } from '../../platform/leases.ts';
import type { Logger } from '../../platform/logging.ts';
import type { VerifierConfig } from '../config.ts';
import { Scheduler } from '../scheduler/scheduler.ts';
import { ShardKeeper } from '../scheduler/shard-keeper.ts';
import { firstDelay, type Random, UNASSIGNED } from '../scheduler/timing.ts';
import { recoverNode } from '../store/bans.ts';
import { readBootLog, recentLogs } from '../store/boot-logs.ts';
import { recordFail } from '../store/fails.ts';
import { readKeptEvidence } from '../store/kept-evidence.ts';
import { clearPreviousContact, type LoadedNode, loadNodes, loadShards } from '../store/nodes.ts';
import { writeResults } from '../store/results.ts';
import type { EvidenceSource } from '../transport/evidence-source.ts';
import { type AttesterOptions, attester, failed } from './attester.ts';
import { cloneProbe } from './clone-probe.ts';
import type { LogKeeper } from './log-keeper.ts';
import { NodeRegistry, refreshNode } from './node-registry.ts';
import type { PolicyBook } from './policy-book.ts';
import type { PolledNode } from './polled-node.ts';
import { type PollerOptions, poller } from './poller.ts';
import { probation, type Recovered } from './probation.ts';
import { Rejudger, type RejudgerOptions } from './rejudge.ts';
import { Reloader } from './reloader.ts';
import { ResultWriter } from './result-writer.ts';

export interface EngineOptions {
  readonly config: Pick<VerifierConfig, 'concurrency' | 'coldConcurrency' | 'leaseMs' | 'evidenceEvery'>;
  readonly database: Database;
  /** Random UUID of this process, which holds the leases. */
  readonly owner: string;
  readonly leases: ShardLeases;
  readonly policies: PolicyBook;
  readonly source: EvidenceSource;
  readonly keepLogs: LogKeeper;
  readonly randomBytes: RandomBytes;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly random: Random;
  readonly onTrustEnded: AttesterOptions['onTrustEnded'];
  readonly onVerdict: AttesterOptions['onVerdict'];
  readonly onBatch: (rows: number) => void;
  readonly onRejudged: RejudgerOptions['onOutcome'];
  readonly logger: Logger;
  readonly appraise?: PollerOptions['appraise'];
}

/** After a change of policy: a small fleet is judged at once, a large one in as long as it takes. */
const MS_FOR_EACH_NODE = 2;

/** Attests the nodes of the shards that this process holds. */
export class PollingEngine {
  readonly #options: EngineOptions;
  readonly #nodes = new NodeRegistry();
  readonly #keeper: ShardKeeper;
  readonly #scheduler: Scheduler<PolledNode>;
  readonly #results: ResultWriter;
  readonly #reloader: Reloader;
  readonly #rejudger: Rejudger;

  constructor(options: EngineOptions) {
    this.#options = options;
    const { config, leases, now, logger } = options;
    this.#reloader = new Reloader((ids) => this.#reload(ids), logger);
    this.#keeper = new ShardKeeper({
      ...{ leases, leaseMs: config.leaseMs, now, logger },
      onGained: (shards) => this.#gain(shards),
      onLost: (shards) => this.#lose(shards),
      onSure: (sure) => (sure ? this.#scheduler.resume() : this.#scheduler.pause()),
    });
    this.#results = this.#createWriter();
    this.#rejudger = this.#createRejudger();
    this.#scheduler = new Scheduler({
      ...{ now, logger, concurrency: config.concurrency, coldConcurrency: config.coldConcurrency },
      setTimer: (wake, ms) => {
        const timer = setTimeout(wake, ms);
        return () => clearTimeout(timer);
      },
      delayAfterError: UNASSIGNED.intervalMs,
      poll: this.#createAttester(),
    });
  }

  get stats() {
    const { size: nodes } = this.#nodes;
    const { inFlight, lateness } = this.#scheduler;
    return {
      nodes,
      inFlight,
      latenessMs: lateness,
      shards: this.#keeper.size,
      unwritten: this.#results.size,
    };
  }

  start(): Promise<void> {
    return this.#keeper.start();
  }

  async close(): Promise<void> {
    await this.#scheduler.close();
    await this.#rejudger.close();
    await this.#results.close();
    await this.#reloader.close();
    await this.#keeper.close();
  }

  /** Somebody changed this node: it is read again, if it is ours. */
  nodeChanged(id: string): void {
    if (isNodeId(id) && this.#keeper.leaseOf(shardOf(id))) this.#reloader.add(id);
  }

  /** Notices may have been lost: everything is read again. */
  async everythingChanged(): Promise<void> {
    const { shards } = this.#keeper;
    const known = new Set([...this.#nodes.all()].map(({ record }) => record.id));
    if (shards.length === 0) return;
    const loaded = await loadShards(this.#options.database, shards, this.#options.now);
    this.#follow(known, loaded);
  }

  /** Asks a node now, if it is ours. @param whole all of its measurement list, and the evidence is to be kept */
  attestNow(id: string, whole = false): void {
    const node = this.#nodes.get(id);
    if (!node) return;
    node.whole ||= whole;
    this.#scheduler.schedule(node, 0);
  }

  /** Nodes may have another policy: all are judged by what is kept of them, and asked soon, but not all at once. */
  policiesChanged(): void {
    const { random } = this.#options;
    this.#rejudger.add(this.#nodes.all());
    for (const node of this.#nodes.all()) {
      const spread = Math.min(this.#intervalOf(node), this.#nodes.size * MS_FOR_EACH_NODE);
      this.#scheduler.schedule(node, spread * random());
    }
  }

  #createWriter(): ResultWriter {
    const { config, database, owner, now, onBatch, logger } = this.#options;
    return new ResultWriter({
      ...{ now, onBatch, logger, evidenceEvery: config.evidenceEvery },
      write: (render) => writeResults(database, owner, render),
      fenceOf: (shard) => this.#keeper.leaseOf(shard)?.fence,
      onStale: (id) => this.nodeChanged(id),
    });
  }

  #createAttester() {
    const { database, policies, source, now, randomBytes, logger } = this.#options;
    const probe = { source, randomBytes, now };
    const poll = poller({
      ...this.#options,
      policies,
      probeClone: cloneProbe({ ...probe, clear: (record) => clearPreviousContact(database, record) }),
      onFault: (error, node) => logger.error({ err: error, node }, 'an attestation failed inside'),
    });
    const recover = (recovered: Recovered) => database.transaction((tx) => recoverNode(tx, recovered));
    return attester({
      ...this.#options,
      ...this.#ending(),
      poll,
      probation: probation({ ...this.#options, poll, recover }),
    });
  }

  #createRejudger(): Rejudger {
    const { database, policies, now, onRejudged, logger } = this.#options;
    const readLog = recentLogs((sha256) => readBootLog(database.db, sha256));
    return new Rejudger({
      ...{ policies, now, logger, onOutcome: onRejudged },
      load: (nodeId) => readKeptEvidence(database.db, nodeId, readLog),
      fail: (node, failure) => failed({ ...this.#options, ...this.#ending() }, node, failure),
    });
  }

  /** How trust ends, whatever ended it. */
  #ending(): Pick<AttesterOptions, 'results' | 'recordFail' | 'onTrustEnded' | 'onStale'> {
    const { database, leases, now } = this.#options;
    return {
      results: this.#results,
      recordFail: async (failure) => {
        const lease = this.#keeper.leaseOf(failure.record.shard);
        return lease && recordFail(database, leases, lease, failure, () => now() - failure.askedAt);
      },
      onTrustEnded: (node, failure, end) => {
        if (end.standing === 'banned') {
          this.#drop(node);
          // Its policy may have a way back.
          this.nodeChanged(node.record.id);
        }
        this.#options.onTrustEnded(node, failure, end);
      },
      onStale: (id) => this.nodeChanged(id),
    };
  }

  async #gain(shards: readonly number[]): Promise<void> {
    const loaded = await loadShards(this.#options.database, shards, this.#options.now);
    for (const one of loaded) this.#add(one);
    // A policy may have changed while nobody held them.
    this.#rejudger.add(shards.flatMap((shard) => this.#nodes.inShard(shard)));
  }

  #lose(shards: readonly number[]): void {
    for (const shard of shards) {
      for (const node of this.#nodes.inShard(shard)) this.#drop(node);
    }
  }

  async #reload(ids: readonly string[]): Promise<void> {
    const loaded = await loadNodes(this.#options.database, ids, this.#options.now);
    this.#follow(new Set(ids), loaded);
  }

  #follow(asked: ReadonlySet<string>, loaded: readonly LoadedNode[]): void {
    const found = new Set(loaded.map(({ record }) => record.id));
    for (const id of asked) {
      const node = this.#nodes.get(id);
      if (node && !found.has(id)) this.#drop(node);
    }
    for (const one of loaded) {
      const node = this.#nodes.get(one.record.id);
      if (!node) this.#add(one);
      else if (refreshNode(node, one)) this.#scheduler.schedule(node, 0);
    }
  }

  #add(loaded: LoadedNode): void {
    const { id, shard } = loaded.record;
    // It may be known from a notice that came while its shard was read, and the shard may be lost since.
    if (this.#nodes.get(id) || !this.#keeper.leaseOf(shard)) return;
    this.#schedule(this.#nodes.add(loaded), loaded.trustLeftMs);
  }

  #schedule(node: PolledNode, trustLeftMs: number): void {
    const delay = firstDelay(trustLeftMs, this.#intervalOf(node), this.#options.random);
    this.#scheduler.schedule(node, delay);
  }

  #intervalOf(node: PolledNode): number {
    return (this.#options.policies.policyFor(node.record)?.policy.freshness ?? UNASSIGNED).intervalMs;
  }

  #drop(node: PolledNode): void {
    this.#scheduler.remove(node);
    this.#nodes.remove(node);
    this.#results.discard(node.record.id);
    this.#options.source.forget(node.record.id);
  }
}
