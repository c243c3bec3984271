import type { BanStore, WantedBan } from '../../issuer/bans/reconciler.ts';

interface BanRow {
  wanted: boolean;
  epoch: number;
  group: string | null;
  appliedAt: Date | undefined;
  attempts: number;
  lastError: string | undefined;
}

/** The table of bans, in memory: what issuer/store/bans.ts does in SQL. */
export class MemoryBanStore implements BanStore {
  readonly rows = new Map<string, BanRow>();
  readonly #clock: () => Date;

  constructor(clock: () => Date) {
    this.#clock = clock;
  }

  want(nodeId: string, wanted: boolean, group: string | null = 'web'): void {
    const epoch = (this.rows.get(nodeId)?.epoch ?? 0) + 1;
    this.rows.set(nodeId, { wanted, epoch, group, appliedAt: undefined, attempts: 0, lastError: undefined });
  }

  row(nodeId: string): BanRow {
    const row = this.rows.get(nodeId);
    if (!row) throw new Error(`there is no ban of ${nodeId}`);
    return row;
  }

  async follow(): Promise<void> {}

  async open(confirmAfterMs: number): Promise<readonly WantedBan[]> {
    const before = this.#clock().getTime() - confirmAfterMs;
    return [...this.rows]
      .filter(([, { appliedAt, wanted }]) => !appliedAt || (wanted && appliedAt.getTime() < before))
      .map(([nodeId, { group, wanted, epoch, attempts }]) => ({ nodeId, group, wanted, epoch, attempts }));
  }

  async reached(ban: WantedBan): Promise<boolean> {
    const row = this.row(ban.nodeId);
    const isSame = this.#isSame(ban);
    Object.assign(row, { appliedAt: isSame ? this.#clock() : undefined, attempts: 0, lastError: undefined });
    return isSame;
  }

  async waits(ban: WantedBan, why: string): Promise<void> {
    if (this.#isSame(ban))
      Object.assign(this.row(ban.nodeId), { appliedAt: undefined, attempts: 0, lastError: why });
  }

  async failed(ban: WantedBan, error: string): Promise<void> {
    const row = this.row(ban.nodeId);
    if (this.#isSame(ban))
      Object.assign(row, { appliedAt: undefined, attempts: row.attempts + 1, lastError: error });
  }

  #isSame({ nodeId, wanted, epoch }: WantedBan): boolean {
    const row = this.row(nodeId);
    return row.wanted === wanted && row.epoch === epoch;
  }
}
