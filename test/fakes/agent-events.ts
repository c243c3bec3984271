import type { AgentEvent, AgentStep } from '../../agent/events.ts';

type EventOf<S extends AgentStep> = Extract<AgentEvent, { readonly step: S }>;

/** Remembers what an agent told, and waits for what it will tell. */
export class EventRecorder {
  readonly events: AgentEvent[] = [];
  readonly #waiting = new Set<() => void>();

  readonly onEvent = (event: AgentEvent): void => {
    this.events.push(event);
    for (const look of [...this.#waiting]) look();
  };

  of<S extends AgentStep>(step: S): EventOf<S>[] {
    return this.events.filter((event): event is EventOf<S> => event.step === step);
  }

  /** The nth event of a step, counted from 1; rejects with all that was told when it does not come. */
  async until<S extends AgentStep>(step: S, count = 1, timeoutMs = 20_000): Promise<EventOf<S>> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const found = this.of(step)[count - 1];
      if (found !== undefined) return found;
      const left = deadline - Date.now();
      if (left <= 0) {
        const told = this.events.map((event) => JSON.stringify(event)).join('\n');
        throw new Error(`no ${step} (${count}) within ${timeoutMs} ms; told was:\n${told}`);
      }
      await this.#next(left);
    }
  }

  /** The next event, or the end of the time. */
  #next(timeoutMs: number): Promise<void> {
    return new Promise((done) => {
      const look = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        done();
      };
      const timer = setTimeout(look, timeoutMs);
      this.#waiting.add(look);
    });
  }
}
