import { type BanPlace, type BanStore, FIRST_LOOK_MS, type WantedBan } from '../../issuer/bans/reconciler.ts';

interface Wish {
  readonly wanted: boolean;
  readonly epoch: number;
  readonly group: string | null;
}

interface Reached {
  readonly wanted: boolean;
  readonly epoch: number;
  readonly appliedAt: Date | undefined;
  readonly confirmedAt: Date | undefined;
  readonly attempts: number;
  readonly lastError: string | undefined;
}

const NOTHING = { appliedAt: undefined, confirmedAt: undefined, attempts: 0, lastError: undefined };

/** The tables of bans, in memory: what issuer/store/bans.ts does in SQL. */
export class MemoryBanStore implements BanStore {
  readonly #wishes = new Map<string, Wish>();
  readonly #reached = new Map<string, Reached>();
  readonly #clock: () => Date;

  constructor(clock: () => Date) {
    this.#clock = clock;
  }

  want(nodeId: string, wanted: boolean, group: string | null = 'web'): void {
    const epoch = (this.#wishes.get(nodeId)?.epoch ?? 0) + 1;
    this.#wishes.set(nodeId, { wanted, epoch, group });
  }

  /** What was reached of the wish of today. */
  row(nodeId: string, place: string): Reached {
    const wish = this.#wishes.get(nodeId);
    if (!wish) throw new Error(`there is no ban of ${nodeId}`);
    const row = this.#reached.get(`${nodeId} ${place}`);
    return row && isSame(row, wish) ? row : { wanted: wish.wanted, epoch: wish.epoch, ...NOTHING };
  }

  async follow(): Promise<void> {}

  async open({ name, groups }: Pick<BanPlace, 'name' | 'groups'>, confirmAfterMs: number) {
    const now = this.#clock().getTime();
    const looksAgain = (applied: Date, confirmed: Date) => {
      const held = confirmed.getTime() - applied.getTime();
      return confirmed.getTime() + Math.min(confirmAfterMs, Math.max(FIRST_LOOK_MS, held)) < now;
    };
    return [...this.#wishes]
      .filter(([, { group }]) => !groups || (group !== null && groups.has(group)))
      .map(([nodeId]) => ({ nodeId, ...this.row(nodeId, name) }))
      .filter(
        ({ appliedAt, confirmedAt, wanted }) =>
          !appliedAt || (wanted && confirmedAt !== undefined && looksAgain(appliedAt, confirmedAt)),
      )
      .map(({ nodeId, wanted, epoch, appliedAt, attempts }) => {
        return { ...{ nodeId, wanted, epoch, attempts }, applied: appliedAt !== undefined };
      });
  }

  async reached(place: string, wish: WantedBan): Promise<boolean> {
    const now = this.#clock();
    this.#set(place, wish, { ...NOTHING, appliedAt: now, confirmedAt: now });
    return isSame(wish, this.row(wish.nodeId, place));
  }

  async confirmed(place: string, wish: WantedBan): Promise<void> {
    const { appliedAt } = this.row(wish.nodeId, place);
    this.#set(place, wish, { ...NOTHING, appliedAt, confirmedAt: this.#clock() });
  }

  async waits(place: string, wish: WantedBan, why: string): Promise<void> {
    this.#set(place, wish, { ...NOTHING, lastError: why });
  }

  async failed(place: string, wish: WantedBan, error: string): Promise<void> {
    const before = this.row(wish.nodeId, place);
    this.#set(place, wish, { ...before, attempts: before.attempts + 1, lastError: error });
  }

  #set(place: string, { nodeId, wanted, epoch }: WantedBan, row: Omit<Reached, 'wanted' | 'epoch'>): void {
    this.#reached.set(`${nodeId} ${place}`, { ...row, wanted, epoch });
  }
}

function isSame(a: Pick<Wish, 'wanted' | 'epoch'>, b: Pick<Wish, 'wanted' | 'epoch'>): boolean {
  return a.wanted === b.wanted && a.epoch === b.epoch;
}
