import { pause } from '../../platform/backoff.ts';
import type { Lease, ShardLeases } from '../../platform/leases.ts';
import type { Logger } from '../../platform/logging.ts';

export interface ShardKeeperOptions {
  readonly leases: Pick<ShardLeases, 'tend' | 'release'>;
  readonly leaseMs: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Starts to poll the nodes of these shards. When it throws, the shards are taken over again at the next round. */
  readonly onGained: (shards: readonly number[]) => Promise<void>;
  /** Stops at once: somebody else may poll them now. */
  readonly onLost: (shards: readonly number[]) => void;
  /** Whether leases can be relied on: false while the database is away for longer than they last. */
  readonly onSure: (sure: boolean) => void;
  readonly logger: Logger;
}

const TENDS_IN_A_LEASE = 3;

/** Renews this process's leases and says which shards come and go. */
export class ShardKeeper {
  readonly #options: ShardKeeperOptions;
  readonly #held = new Map<number, Lease>();
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #expiry: NodeJS.Timeout | undefined;

  constructor(options: ShardKeeperOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#held.size;
  }

  leaseOf(shard: number): Lease | undefined {
    return this.#held.get(shard);
  }

  get shards(): readonly number[] {
    return [...this.#held.keys()];
  }

  /** The first round is over when this resolves; later ones go on by themselves. */
  async start(): Promise<void> {
    await this.#round();
    this.#running = this.#forever();
  }

  /** Gives the shards back, so that others need not wait for the leases to end. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    clearTimeout(this.#expiry);
    this.#options.onLost(this.shards);
    this.#held.clear();
    await this.#options.leases.release();
  }

  async #forever(): Promise<void> {
    const { leaseMs } = this.#options;
    while (!this.#stop.signal.aborted) {
      await pause(leaseMs / TENDS_IN_A_LEASE, this.#stop.signal);
      if (!this.#stop.signal.aborted) await this.#round();
    }
  }

  async #round(): Promise<void> {
    const { leases, now, onSure, logger } = this.#options;
    const asked = now();
    try {
      await this.#follow(await leases.tend());
      onSure(true);
      this.#expectLossAfter(asked);
    } catch (error) {
      logger.warn({ err: error }, 'leases could not be renewed');
    }
  }

  // The database counts from later than we asked, so that we stop before it lets others begin.
  #expectLossAfter(asked: number): void {
    clearTimeout(this.#expiry);
    const { leaseMs, now, onSure } = this.#options;
    this.#expiry = setTimeout(() => onSure(false), Math.max(0, asked + leaseMs - now()));
  }

  async #follow(leases: readonly Lease[]): Promise<void> {
    const now = new Map(leases.map((lease) => [lease.shard, lease]));
    // Another fence is another lease: in between the shard may have been somebody else's.
    const lost = this.shards.filter((shard) => now.get(shard)?.fence !== this.#held.get(shard)?.fence);
    for (const shard of lost) this.#held.delete(shard);
    if (lost.length > 0) this.#options.onLost(lost);
    const gained = leases.filter(({ shard }) => !this.#held.has(shard));
    if (gained.length === 0) return;
    for (const lease of gained) this.#held.set(lease.shard, lease);
    try {
      await this.#options.onGained(gained.map(({ shard }) => shard));
    } catch (error) {
      for (const { shard } of gained) this.#held.delete(shard);
      throw error;
    }
  }
}
