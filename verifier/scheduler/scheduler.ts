import type { Logger } from '../../platform/logging.ts';
import { type Due, DueHeap } from './due-heap.ts';

/** What the scheduler keeps of a node. It owns these fields; everything else about the node is the poll's. */
export interface Scheduled extends Due {
  /** Being polled now. */
  inFlight: boolean;
  /** Due, and in line for a connection. */
  waiting: boolean;
  /** Asked to be polled again as soon as the poll under way ends. */
  again: boolean;
  /** No longer ours: results are void. */
  gone: boolean;
  /** It answered last time, so that its connection is probably open. */
  warm: boolean;
}

export interface SchedulerOptions<T> {
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Calls `wake` once; the result cancels it. */
  readonly setTimer: (wake: () => void, ms: number) => () => void;
  /** Polls at the same time. */
  readonly concurrency: number;
  /** Of these, at most so many that have to open a connection: handshakes are what costs time. */
  readonly coldConcurrency: number;
  /** One poll. Answers after how many milliseconds, counted from its start, the next is due. */
  readonly poll: (item: T) => Promise<number>;
  /** After a poll that threw, which is a fault of ours. */
  readonly delayAfterError: number;
  readonly logger: Logger;
}

const LONGEST_TIMER_MS = 60_000;

/**
 * Polls what is due, each item once at a time and never more than `concurrency` together. Sleeps until the next is
 * due; whatever happens to one item, the others go on (rule `api.total`).
 */
export class Scheduler<T extends Scheduled> {
  readonly #options: SchedulerOptions<T>;
  readonly #heap = new DueHeap<T>();
  readonly #cold: T[] = [];
  readonly #running = new Set<Promise<void>>();
  #coldRunning = 0;
  #cancelTimer: (() => void) | undefined;
  #paused = false;

  constructor(options: SchedulerOptions<T>) {
    this.#options = options;
  }

  get inFlight(): number {
    return this.#running.size;
  }

  /** How long the first item has been waiting, in milliseconds. */
  get lateness(): number {
    const first = this.#heap.peek();
    return first ? Math.max(0, this.#options.now() - first.due) : 0;
  }

  /** Polls the item in `delayMs`, or again after the poll that is under way. */
  schedule(item: T, delayMs: number): void {
    if (item.inFlight) item.again ||= delayMs <= 0;
    else if (!item.waiting) this.#heap.put(item, this.#options.now() + delayMs);
    this.#pump();
  }

  remove(item: T): void {
    item.gone = true;
    this.#heap.remove(item);
  }

  /** Starts nothing until `resume`; polls under way end by themselves. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#pump();
  }

  /** Ends for good, when the polls under way have ended. */
  async close(): Promise<void> {
    this.pause();
    this.#cancelTimer?.();
    await Promise.all(this.#running);
  }

  #pump(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (this.#paused) return;
    this.#startCold();
    for (;;) {
      const first = this.#heap.peek();
      if (!first || this.#running.size >= this.#options.concurrency) return;
      const wait = first.due - this.#options.now();
      if (wait > 0) {
        this.#sleep(wait);
        return;
      }
      this.#heap.remove(first);
      if (first.warm) this.#start(first, false);
      else {
        first.waiting = true;
        this.#cold.push(first);
        this.#startCold();
      }
    }
  }

  #sleep(wait: number): void {
    // Rounded up: a timer that fires early would be set again and again.
    const ms = Math.min(Math.ceil(wait), LONGEST_TIMER_MS);
    this.#cancelTimer = this.#options.setTimer(() => this.#pump(), ms);
  }

  #startCold(): void {
    const { concurrency, coldConcurrency } = this.#options;
    while (this.#coldRunning < coldConcurrency && this.#running.size < concurrency) {
      const item = this.#cold.shift();
      if (!item) return;
      item.waiting = false;
      // It may have been lost while it stood in line.
      if (!item.gone) this.#start(item, true);
    }
  }

  #start(item: T, cold: boolean): void {
    const { now } = this.#options;
    const started = now();
    item.inFlight = true;
    item.again = false;
    if (cold) this.#coldRunning += 1;
    const run = this.#poll(item).then((delay) => {
      this.#running.delete(run);
      if (cold) this.#coldRunning -= 1;
      item.inFlight = false;
      if (!item.gone) this.#heap.put(item, item.again ? now() : Math.max(started + delay, now()));
      this.#pump();
    });
    this.#running.add(run);
  }

  async #poll(item: T): Promise<number> {
    const { poll, delayAfterError, logger } = this.#options;
    try {
      return await poll(item);
    } catch (error) {
      logger.error({ err: error }, 'a poll failed inside');
      return delayAfterError;
    }
  }
}
