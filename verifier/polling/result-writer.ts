import { backoff } from '../../platform/backoff.ts';
import { isUnavailable } from '../../platform/database/index.ts';
import type { Logger } from '../../platform/logging.ts';
import type { RenderRows, ResultRow } from '../store/results.ts';
import { changesOf } from './changes.ts';
import type { Extension, Undecided } from './judgement.ts';
import type { PolledNode } from './polled-node.ts';

export type Result = Extension | Undecided;

export interface ResultWriterOptions {
  readonly write: (render: RenderRows) => Promise<ReadonlySet<string>>;
  /** The fence of a shard that this process holds; undefined when it does not. */
  readonly fenceOf: (shard: number) => number | undefined;
  readonly now: () => number;
  /** Every how many passes of a node its evidence is kept; 0: never. */
  readonly evidenceEvery: number;
  /** The row was not as expected: somebody else changed it. */
  readonly onStale: (nodeId: string) => void;
  readonly onBatch: (rows: number) => void;
  readonly logger: Logger;
}

interface Pending {
  readonly node: PolledNode;
  readonly result: Result;
}

/** From one batch to the next: what comes after a pause is written at once, what comes in a stream together. */
const SPACING_MS = 50;
const MAX_ROWS = 500;
/** What could not be written for so long is learned again by the next polls. */
const LONGEST_WAIT_MS = 30_000;
const RETRY = { firstMs: 200, longestMs: 5000 };

/**
 * Collects verdicts that do not end trust and writes many at once, one batch at a time. While the database is away
 * the newest of each node waits; trust counts from its nonce, so that waiting gives nothing away.
 */
export class ResultWriter {
  readonly #options: ResultWriterOptions;
  readonly #pending = new Map<string, Pending>();
  readonly #wait = backoff(RETRY);
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;

  constructor(options: ResultWriterOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#pending.size;
  }

  submit(node: PolledNode, result: Result): void {
    this.#pending.set(node.record.id, { node, result });
    this.#wake(this.#pending.size >= MAX_ROWS ? 0 : this.#spacing());
  }

  /** The node's result is void: it failed since, or is no longer ours. */
  discard(nodeId: string): void {
    this.#pending.delete(nodeId);
  }

  /** Writes what is there, once. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#writing;
    clearTimeout(this.#timer);
    if (this.#pending.size > 0) await this.#flush();
    clearTimeout(this.#timer);
  }

  #wake(ms: number): void {
    if (this.#timer || this.#writing) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#writing = this.#flush().finally(() => {
        this.#writing = undefined;
        if (this.#pending.size > 0) this.#wake(Math.max(this.#delay, this.#spacing()));
      });
    }, ms);
  }

  #delay = 0;
  #flushedAt = Number.NEGATIVE_INFINITY;

  #spacing(): number {
    return Math.max(0, this.#flushedAt + SPACING_MS - this.#options.now());
  }

  async #flush(): Promise<void> {
    this.#flushedAt = this.#options.now();
    const batch = this.#take();
    if (batch.length === 0) return;
    try {
      await this.#write(batch);
      this.#wait.reset();
      this.#delay = 0;
    } catch (error) {
      if (isUnavailable(error)) return this.#putBack(batch, error);
      await this.#oneByOne(batch, error);
    }
  }

  #take(): Pending[] {
    const batch: Pending[] = [];
    for (const [id, pending] of this.#pending) {
      if (batch.length >= MAX_ROWS) break;
      this.#pending.delete(id);
      if (this.#isLive(pending)) batch.push(pending);
    }
    return batch;
  }

  #isLive({ node, result }: Pending): boolean {
    const age = this.#options.now() - result.askedAt;
    return !node.gone && result.epoch === node.trust.epoch && age < LONGEST_WAIT_MS;
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    const { write, now, onStale, onBatch } = this.#options;
    const changes = new Map(batch.map((one) => [one, changesOf(one.node.trust, one.result, now())]));
    const events = [...changes.values()].flatMap((change) => change.events);
    const written = await write(() => ({
      rows: batch.flatMap((one) => this.#row(one, changes.get(one)?.history ?? false)),
      events,
    }));
    onBatch(written.size);
    for (const [{ node, result }, { next }] of changes) {
      if (!written.has(result.record.id)) onStale(result.record.id);
      // It may have been read again meanwhile: then that is newer.
      else if (node.trust.epoch === result.epoch) node.trust = next;
    }
  }

  #row({ result }: Pending, history: boolean): ResultRow[] {
    const { record, epoch, policy } = result;
    const fence = this.#options.fenceOf(record.shard);
    if (fence === undefined) return [];
    const extension = result.kind === 'extend' ? result : undefined;
    return [
      {
        ...{ id: record.id, version: record.version, epoch, shard: record.shard, fence, history },
        outcome: extension?.outcome ?? 'inconclusive',
        reasons: result.findings,
        policy: policy?.name ?? null,
        policy_version: policy?.version ?? null,
        elapsed_ms: this.#options.now() - result.askedAt,
        trust_ms: extension?.trustForMs ?? null,
        clock: extension ? String(extension.clock.clock) : null,
        resets: extension?.clock.resetCount ?? null,
        restarts: extension?.clock.restartCount ?? null,
        ima: extension?.ima ?? null,
        evidence: extension && this.#keeps(extension, history) ? extension.evidence : null,
      },
    ];
  }

  #keeps({ outcome, passNumber, wanted }: Extension, history: boolean): boolean {
    const { evidenceEvery } = this.#options;
    if (outcome === 'fail') return history;
    return wanted || (evidenceEvery > 0 && (history || passNumber % evidenceEvery === 0));
  }

  #putBack(batch: readonly Pending[], error: unknown): void {
    this.#delay = this.#wait.next();
    this.#options.logger.warn({ err: error, results: batch.length }, 'results wait for the database');
    for (const pending of batch) {
      const { id } = pending.result.record;
      if (!this.#pending.has(id)) this.#pending.set(id, pending);
    }
  }

  // One row that the database refuses must not take the others with it (rule `api.total`).
  async #oneByOne(batch: readonly Pending[], error: unknown): Promise<void> {
    this.#options.logger.error({ err: error, results: batch.length }, 'a batch of results was refused');
    for (const pending of batch) {
      const { id } = pending.result.record;
      await this.#write([pending]).catch((cause: unknown) => {
        this.#options.logger.error({ err: cause, node: id }, 'a result was refused');
        this.#options.onStale(id);
      });
    }
  }
}
