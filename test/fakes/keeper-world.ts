import type { AgentEvent } from '../../agent/events.ts';
import type { NodeAuthority, NodeMaterial } from '../../agent/node-material/authority.ts';
import { type KeeperDependencies, MaterialKeeper } from '../../agent/node-material/keeper.ts';
import { agentBackoff } from '../../agent/retry.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

const settled = () => new Promise((done) => setImmediate(done));

/** A keeper on a clock that only moves while it waits, an issuer and a disk that do what a test says. */
export class KeeperWorld {
  readonly events: AgentEvent[] = [];
  readonly waits: number[] = [];
  /** Times at which the issuer was asked, in seconds from the start. */
  readonly asked: number[] = [];
  readonly minted: number[] = [];
  /** What stands in the file. */
  file: { readonly pem: string; readonly notAfter: Date } | undefined;
  /** Ends of leaves at the moment they were seen on disk too late, in milliseconds. */
  overdueMs = 0;
  destroyed = 0;
  /** Times of attempts to destroy, in seconds from the start. */
  readonly destroyedAt: number[] = [];
  discarded = 0;
  unknown = 0;
  issuerTtlMs = 600_000;
  leafTtlMs = 300_000;
  /** Called in place of the issuer when set. */
  issuer: (() => Promise<void>) | undefined;
  /** Called before each writing. */
  beforeWrite: () => Promise<void> = async () => {};
  beforeMint: () => Promise<void> = async () => {};
  destroyFails = false;
  beforeDestroy: () => Promise<void> = async () => {};
  restoreFails = false;
  random = () => 0.5;
  readonly keeper: MaterialKeeper;
  readonly #stop = new AbortController();
  #now = START;
  #until = START;
  #during: readonly (readonly [number, () => unknown])[] = [];

  constructor() {
    this.keeper = new MaterialKeeper(this.#dependencies());
  }

  /** Seconds from the start. */
  get seconds(): number {
    return (this.#now - START) / 1000;
  }

  /** Lets time pass; `during` is done at its second, also in the middle of a wait. */
  async run(seconds: number, during: readonly (readonly [number, () => unknown])[] = []): Promise<void> {
    this.#until = this.#now + seconds * 1000;
    this.#during = during;
    await this.keeper.run(this.#stop.signal);
  }

  /** An issuer that takes the question and does not answer, to the end of the run. */
  hang(): Promise<void> {
    return new Promise((_, failed) => {
      this.#stop.signal.addEventListener('abort', () => failed(new Error('closed')));
    });
  }

  steps(): string[] {
    return this.events.map(({ step }) => step);
  }

  #dependencies(): KeeperDependencies {
    const backoffPorts = { random: () => this.random(), pause: async () => {} };
    return {
      now: () => new Date(this.#now),
      random: () => this.random(),
      pause: (milliseconds, signal) => this.#pause(milliseconds, signal),
      obtain: () => this.#obtain(),
      mint: (authority) => this.#mint(authority),
      store: {
        path: '/run/node.pem',
        write: async (pem) => {
          await this.beforeWrite();
          this.file = { pem, notAfter: new Date(Number(pem)) };
        },
        restore: async () => {
          if (this.restoreFails) throw new Error('EACCES');
          return this.file?.notAfter;
        },
        destroy: async () => {
          this.destroyed += 1;
          this.destroyedAt.push(this.seconds);
          await this.beforeDestroy();
          if (this.destroyFails) throw new Error('EIO');
          this.file = undefined;
        },
      },
      backoffs: {
        soon: agentBackoff(backoffPorts, { firstMs: 1_000, longestMs: 15_000 }),
        slow: agentBackoff(backoffPorts, { firstMs: 5_000, longestMs: 60_000 }),
      },
      onEvent: (event) => this.events.push(event),
      onUnknown: () => {
        this.unknown += 1;
      },
    };
  }

  async #pause(milliseconds: number, signal: AbortSignal): Promise<void> {
    // What was started beside comes to its end first, as time stands still for it.
    await settled();
    if (signal.aborted) return;
    this.waits.push(milliseconds);
    const end = Math.ceil(this.#now + milliseconds);
    while (!signal.aborted) {
      const [next, ...later] = this.#during;
      if (next === undefined || START + next[0] * 1000 > end) break;
      this.#during = later;
      this.#now = Math.max(this.#now, START + next[0] * 1000);
      await next[1]();
      await settled();
    }
    if (!signal.aborted) this.#now = end;
    if (this.file !== undefined) {
      this.overdueMs = Math.max(this.overdueMs, this.#now - this.file.notAfter.getTime());
    }
    if (this.#now >= this.#until) this.#stop.abort();
  }

  async #obtain(): Promise<NodeAuthority> {
    this.asked.push(this.seconds);
    await this.issuer?.();
    return {
      ...{ nodeId: 'n', nodesDomain: 'd', keyMode: 'tpm', serial: String(this.asked.length) },
      ...{ certificate: new Uint8Array(), issuingCa: new Uint8Array(), subject: 'CN=n', issuer: 'CN=i' },
      notAfter: new Date(this.#now + this.issuerTtlMs),
      sign: async () => new Uint8Array(),
      discard: () => {
        this.discarded += 1;
      },
    };
  }

  async #mint({ notAfter: limit }: NodeAuthority): Promise<NodeMaterial> {
    await this.beforeMint();
    this.minted.push(this.seconds);
    const notAfter = new Date(Math.min(this.#now + this.leafTtlMs, limit.getTime()));
    return {
      ...{ pem: String(notAfter.getTime()), subject: 'CN=n', issuer: 'CN=n' },
      ...{ notBefore: new Date(this.#now), notAfter },
    };
  }
}
