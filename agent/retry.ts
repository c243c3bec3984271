import { AssayError } from '../core/errors.ts';
import { type Backoff, backoff } from '../platform/backoff.ts';
import type { OnAgentEvent } from './events.ts';
import type { AgentPorts } from './ports.ts';

/** A wait is never shorter than a second, whatever jitter says. */
const SHORTEST_MS = 1_000;

/** A backoff on the agent's own clock. */
export function agentBackoff(
  { random, pause }: Pick<AgentPorts, 'random' | 'pause'>,
  span: { readonly firstMs: number; readonly longestMs: number },
): Backoff {
  const base = backoff({ ...span, random });
  const next = () => Math.max(SHORTEST_MS, base.next());
  return { next, reset: () => base.reset(), sleep: (signal) => pause(next(), signal) };
}

/** Does something until it works; undefined when the signal aborts. Each failure is told. */
export async function untilDone<T>(
  part: string,
  work: () => Promise<T>,
  deps: { readonly waits: Backoff; readonly onEvent: OnAgentEvent; readonly signal: AbortSignal },
): Promise<T | undefined> {
  while (!deps.signal.aborted) {
    try {
      return await work();
    } catch (error) {
      if (deps.signal.aborted) return undefined;
      deps.onEvent({ step: 'trouble', part, ...describe(error) });
      await deps.waits.sleep(deps.signal);
    }
  }
  return undefined;
}

export function describe(error: unknown): { readonly code: string; readonly message: string } {
  const code = error instanceof AssayError ? error.code : 'internal';
  return { code, message: error instanceof Error ? error.message : String(error) };
}
