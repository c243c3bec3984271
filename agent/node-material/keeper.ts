import { AssayError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import type { Backoff } from '../../platform/backoff.ts';
import type { DestroyReason, OnAgentEvent } from '../events.ts';
import type { NodeAuthority, NodeMaterial } from './authority.ts';
import {
  type HeldLeaf,
  halfLife,
  type MaterialState,
  planStep,
  SHORTEST_WAIT_MS,
  type Span,
} from './plan.ts';
import { classifyRefusal, rulesOf } from './refusal.ts';

/** The file that SPIRE Agent reads, and the key blobs that can make another. */
export interface MaterialStore {
  readonly path: string;
  write(pem: string): Promise<void>;
  /** End of the leaf that an earlier run left, if there is one that fits. */
  restore(): Promise<Date | undefined>;
  /** Takes away file, leftovers and node CA key. */
  destroy(): Promise<void>;
}

export interface KeeperDependencies {
  readonly now: () => Date;
  readonly random: () => number;
  /** Ends early when the signal aborts; never throws. */
  readonly pause: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  /** Asks the issuer, and checks what it sent. */
  readonly obtain: () => Promise<NodeAuthority>;
  readonly mint: (authority: NodeAuthority) => Promise<NodeMaterial>;
  readonly store: MaterialStore;
  readonly backoffs: KeeperBackoffs;
  readonly onEvent: OnAgentEvent;
  /** The services do not know us any more: nothing is asked until `allow`. */
  readonly onUnknown: () => void;
}

export interface KeeperBackoffs {
  /** Something did not work, or there is no fresh pass yet. */
  readonly soon: Backoff;
  /** Trust was ended: only a person or the next good evidence changes that. */
  readonly slow: Backoff;
}

/** Below this there is no time to use a certificate before it must be renewed. */
const SHORTEST_LIFETIME_MS = 3_000;
const NEVER = new Date(0);
const NOTHING = {
  ...{ intermediate: undefined, leaf: undefined },
  ...{ askAt: NEVER, mintAt: NEVER, destroyAt: NEVER },
};
/** A file that is there and must not be: it is over, whatever its leaf says. */
const OVER: HeldLeaf = { notAfter: NEVER, renewAt: NEVER, current: false };

/**
 * Keeps node material while the node is trusted and destroys it when it is not. All decisions are
 * planStep's; this carries them out, and lets a revocation overtake. The issuer is asked beside it all: an answer that
 * does not come keeps nothing longer than it is valid.
 */
export class MaterialKeeper {
  readonly #deps: KeeperDependencies;
  #state: MaterialState = { ...NOTHING, mayAsk: false, asking: false };
  #asking: Promise<void> = Promise.resolve();
  #authority: NodeAuthority | undefined;
  /** Rises with each end of trust: what was asked for before is not to be used after. */
  #epoch = 0;
  /** Why something is to be destroyed that could not be destroyed yet. */
  #unfinished: DestroyReason | undefined;
  #files: Promise<unknown> = Promise.resolve();
  #wake = new AbortController();
  #end: AbortSignal | undefined;

  constructor(deps: KeeperDependencies) {
    this.#deps = deps;
  }

  /** What is held now: ends of intermediate and leaf. */
  get state(): MaterialState {
    return this.#state;
  }

  /** Runs until the signal. What is held stays: it ends by itself in minutes, and SPIRE Agent may need it. */
  async run(signal: AbortSignal): Promise<void> {
    this.#end = signal;
    await this.#restore();
    while (!signal.aborted) {
      const step = planStep(this.#state, this.#deps.now());
      if (step.do === 'wait') await this.#sleep(step.milliseconds, signal);
      else if (step.do === 'obtain') this.#ask();
      else if (step.do === 'mint') await this.#mint();
      else await this.#expire();
    }
    await this.#asking;
    this.#authority?.discard();
  }

  /** Trust was ended, says a verifier: destroys at once, whatever else is under way. */
  async revoke(reasons: readonly Finding[]): Promise<void> {
    this.#deps.onEvent({ step: 'revoked', reasons });
    await this.#destroy('revoked', this.#deps.backoffs.slow.next());
  }

  /** Takes everything away for good: the node leaves. */
  async leave(): Promise<void> {
    await this.#destroy('left', 0);
  }

  /** The node is on record and admitted: asks the issuer from now on. */
  allow(): void {
    this.#state = { ...this.#state, mayAsk: true, askAt: NEVER };
    this.#wake.abort();
  }

  async #restore(): Promise<void> {
    const epoch = this.#epoch;
    const notAfter = await this.#deps.store.restore().catch((error: unknown) => {
      this.#trouble('material', error);
      // What cannot be read may be a key all the same.
      return NEVER;
    });
    // Its intermediate's key may be gone with the last run: it is kept to its end, and replaced before.
    if (notAfter !== undefined && epoch === this.#epoch) {
      this.#state = { ...this.#state, leaf: { notAfter, renewAt: notAfter, current: false } };
    }
  }

  #ask(): void {
    this.#state = { ...this.#state, asking: true };
    this.#asking = this.#obtain().finally(() => {
      this.#state = { ...this.#state, asking: false };
      this.#wake.abort();
    });
  }

  /** What it brings is minted from by the next step. */
  async #obtain(): Promise<void> {
    const { deps, epoch } = { deps: this.#deps, epoch: this.#epoch };
    let authority: NodeAuthority | undefined;
    try {
      authority = await deps.obtain();
      checkLifetime(authority, deps.now());
    } catch (error) {
      authority?.discard();
      if (epoch === this.#epoch && this.#end?.aborted !== true) await this.#refused(error);
      return;
    }
    if (epoch !== this.#epoch || this.#end?.aborted === true) return authority.discard();
    const renewed = this.#authority !== undefined;
    this.#authority?.discard();
    this.#authority = authority;
    deps.backoffs.soon.reset();
    deps.backoffs.slow.reset();
    const { serial, subject, issuer, notAfter, keyMode } = authority;
    deps.onEvent({ step: 'certificate', serial, subject, issuer, notAfter, keyMode, renewed });
    // The file must go over to the new intermediate, whatever is left of its leaf.
    const leaf = this.#state.leaf && { ...this.#state.leaf, current: false };
    this.#state = {
      ...this.#state,
      intermediate: this.#span(notAfter),
      leaf,
      askAt: this.#after(0),
      mintAt: NEVER,
    };
  }

  async #mint(): Promise<void> {
    const { deps, epoch, authority } = { deps: this.#deps, epoch: this.#epoch, authority: this.#authority };
    if (authority === undefined) return;
    try {
      const material = await deps.mint(authority);
      await this.#exclusive(async () => {
        // Taken away, or replaced meanwhile: then the next step mints from that.
        if (epoch !== this.#epoch || authority !== this.#authority) return;
        const renewed = this.#state.leaf !== undefined;
        await deps.store.write(material.pem);
        // A revocation came meanwhile: it takes the file away as soon as this ends.
        if (epoch !== this.#epoch) return;
        this.#unfinished = undefined;
        const leaf = { ...this.#span(material.notAfter), current: true };
        this.#state = { ...this.#state, leaf, mintAt: this.#after(0) };
        const { subject, issuer, notBefore, notAfter } = material;
        const { path } = deps.store;
        deps.onEvent({ step: 'material-written', path, subject, issuer, notBefore, notAfter, renewed });
      });
    } catch (error) {
      this.#trouble('material', error);
      this.#state = { ...this.#state, mintAt: this.#after(deps.backoffs.soon.next()) };
    }
  }

  async #refused(error: unknown): Promise<void> {
    const { onEvent, onUnknown, backoffs } = this.#deps;
    const refusal = classifyRefusal(error);
    if (refusal === 'trouble' || !(error instanceof AssayError)) this.#trouble('issuer', error);
    else onEvent({ step: 'not-trusted', code: error.code, rules: rulesOf(error) });
    if (refusal === 'distrusted') return this.#destroy('refused', backoffs.slow.next());
    const mayAsk = refusal !== 'unknown';
    this.#state = { ...this.#state, mayAsk, askAt: this.#after(backoffs.soon.next()) };
    if (!mayAsk) onUnknown();
  }

  async #expire(): Promise<void> {
    await this.#destroy(this.#unfinished ?? 'expired', 0);
  }

  /** After this nothing that was held or asked for can be used. */
  async #destroy(reason: DestroyReason, askInMs: number): Promise<void> {
    const { store, onEvent } = this.#deps;
    const held = this.#authority !== undefined || this.#state.leaf !== undefined;
    // An answer that comes late, after what it was to replace was over, is as good as any.
    if (reason !== 'expired') this.#epoch += 1;
    this.#authority?.discard();
    this.#authority = undefined;
    // What was asked of the issuer a moment ago still counts for when it may be asked again.
    const askAt = askInMs === 0 ? this.#state.askAt : this.#after(askInMs);
    const { mayAsk, asking } = this.#state;
    this.#state = { ...NOTHING, askAt, mayAsk, asking };
    this.#wake.abort();
    try {
      await this.#exclusive(() => store.destroy());
      this.#unfinished = undefined;
      if (held) onEvent({ step: 'destroyed', reason, path: store.path });
    } catch (error) {
      this.#trouble('material', error);
      this.#unfinished = reason;
      this.#state = { ...this.#state, leaf: OVER, destroyAt: this.#after(0) };
      // The run may have gone to sleep over this.
      this.#wake.abort();
    }
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#files.then(work);
    this.#files = result.catch(() => {});
    return result;
  }

  async #sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
    await this.#deps.pause(milliseconds, AbortSignal.any([signal, this.#wake.signal]));
  }

  #span(notAfter: Date): Span {
    const { now, random } = this.#deps;
    return { notAfter, renewAt: halfLife(now(), notAfter, random) };
  }

  #after(milliseconds: number): Date {
    return new Date(this.#deps.now().getTime() + Math.max(milliseconds, SHORTEST_WAIT_MS));
  }

  #trouble(part: string, error: unknown): void {
    const code = error instanceof AssayError ? error.code : 'internal';
    const message = error instanceof Error ? error.message : String(error);
    this.#deps.onEvent({ step: 'trouble', part, code, message });
  }
}

function checkLifetime({ notAfter }: NodeAuthority, now: Date): void {
  if (notAfter.getTime() - now.getTime() >= SHORTEST_LIFETIME_MS) return;
  throw new AssayError(
    'unavailable',
    `the issuer's certificate ends ${notAfter.toISOString()} and here it is ${now.toISOString()}; set this machine's clock`,
  );
}
