/** CPU seconds of this process for one operation, beside those of a baseline that ran in turns with it. */
export interface Paired {
  /** Microseconds of CPU; the median of the rounds. */
  readonly microseconds: number;
  readonly baselineMicroseconds: number;
  /** Median of the rounds' own ratios: neighbours on the machine disturb both sides alike. */
  readonly ratio: number;
}

export type Operation = () => unknown;

const ROUND_MS = 120;

/** Runs both in turns, `rounds` times, and compares each round with itself. */
export function measurePaired(operation: Operation, baseline: Operation, rounds: number): Paired {
  // Once unmeasured: the first calls are compiled.
  cpuMicroseconds(operation);
  cpuMicroseconds(baseline);
  const pairs = Array.from({ length: rounds }, () => {
    const below = cpuMicroseconds(baseline);
    return { below, own: cpuMicroseconds(operation) };
  });
  return {
    microseconds: median(pairs.map(({ own }) => own)),
    baselineMicroseconds: median(pairs.map(({ below }) => below)),
    ratio: median(pairs.map(({ own, below }) => own / below)),
  };
}

/** CPU microseconds of one call, over as many as fit into a short round. */
export function cpuMicroseconds(operation: Operation, roundMs = ROUND_MS): number {
  const started = process.cpuUsage();
  const end = performance.now() + roundMs;
  let calls = 0;
  do {
    operation();
    calls += 1;
  } while (performance.now() < end);
  const { user, system } = process.cpuUsage(started);
  return (user + system) / calls;
}

export function median(values: readonly number[]): number {
  const ascending = [...values].sort((a, b) => a - b);
  const middle = ascending.length / 2;
  const upper = ascending[Math.floor(middle)] ?? Number.NaN;
  return Number.isInteger(middle) ? ((ascending[middle - 1] ?? upper) + upper) / 2 : upper;
}

/** The smallest of the values that so many percent of them do not exceed. */
export function percentile(values: readonly number[], percent: number): number {
  const ascending = [...values].sort((a, b) => a - b);
  return ascending[Math.max(0, Math.ceil((ascending.length * percent) / 100) - 1)] ?? Number.NaN;
}
