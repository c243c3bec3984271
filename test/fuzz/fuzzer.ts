import type { Coverage } from './coverage.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';

/** Something that takes bytes which somebody else chose. */
export interface FuzzTarget {
  readonly name: string;
  readonly seeds: () => readonly Uint8Array[];
  /** Returns, at once or later, or throws what a caller expects; anything else is a finding. */
  readonly run: (bytes: Uint8Array) => unknown;
  /** What it may throw. */
  readonly expects: (error: unknown) => boolean;
  /** Words of its format. */
  readonly words?: readonly string[];
}

export interface FuzzFinding {
  readonly target: string;
  readonly input: Uint8Array;
  readonly problem: string;
}

export interface FuzzReport {
  readonly target: string;
  readonly runs: number;
  /** Inputs that reached something new. */
  readonly kept: number;
  readonly features: number;
  readonly findings: readonly FuzzFinding[];
}

export interface FuzzOptions {
  readonly milliseconds: number;
  readonly random: Random;
  readonly coverage: Coverage;
  readonly now: () => number;
}

/** Reading the counters costs as much as many runs: they are read for so many at once, and again for those that are news. */
const BATCH = 24;
const SLOW_MS = 2000;
const STUCK_MS = 10_000;
const LONGEST_INPUT = 256 * 1024;
const MOST_FINDINGS = 5;

/** Tries inputs until the time is over; keeps those that reach what none did before, and changes them further. */
export async function fuzz(
  target: FuzzTarget,
  { milliseconds, random, coverage, now }: FuzzOptions,
): Promise<FuzzReport> {
  const corpus = [...target.seeds(), new Uint8Array()];
  const known = new Set<string>();
  const findings = new Map<string, FuzzFinding>();
  const attempt = async (input: Uint8Array): Promise<void> => {
    const problem = await problemOf(target, input, now);
    if (problem !== undefined && !findings.has(problem)) {
      findings.set(problem, { target: target.name, input, problem });
    }
  };
  const learn = (counted: boolean): boolean => {
    const before = known.size;
    for (const feature of coverage.take(counted)) known.add(feature);
    return known.size > before;
  };
  coverage.take(false);
  for (const seed of corpus) await attempt(seed);
  learn(false);
  const deadline = now() + milliseconds;
  let runs = corpus.length;
  const seeds = corpus.length;
  while (now() < deadline && findings.size < MOST_FINDINGS) {
    const batch = Array.from({ length: BATCH }, () => next(corpus, random, target.words ?? []));
    for (const input of batch) await attempt(input);
    runs += BATCH;
    if (!learn(false)) continue;
    for (const input of batch) {
      await attempt(input);
      if (learn(true)) corpus.push(input);
    }
    runs += BATCH;
  }
  return {
    ...{ target: target.name, runs, kept: corpus.length - seeds },
    ...{ features: known.size, findings: [...findings.values()] },
  };
}

function next(corpus: readonly Uint8Array[], random: Random, words: readonly string[]): Uint8Array {
  // What was found last leads on more often than what was known from the beginning.
  const recent = random.below(2) === 0 ? corpus.slice(-16) : corpus;
  const input = recent[random.below(recent.length)] ?? new Uint8Array();
  return mutate(input, random, corpus, words).subarray(0, LONGEST_INPUT);
}

/** What is wrong with how a target takes an input; undefined when nothing is. */
export async function problemOf(
  { run, expects }: FuzzTarget,
  input: Uint8Array,
  now: () => number,
): Promise<string | undefined> {
  const started = now();
  try {
    const running = run(Uint8Array.from(input));
    if (running instanceof Promise && (await endsInTime(running)) === 'stuck') return 'never ends';
  } catch (error) {
    if (!expects(error)) return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return now() - started > SLOW_MS ? 'takes longer than two seconds' : undefined;
}

/** A stream that nobody closes waits for ever, and holds up nothing else. */
async function endsInTime(running: Promise<unknown>): Promise<'ended' | 'stuck'> {
  let timer: NodeJS.Timeout | undefined;
  const stuck = new Promise<'stuck'>((resolve) => {
    timer = setTimeout(() => resolve('stuck'), STUCK_MS);
  });
  try {
    return await Promise.race([running.then(() => 'ended' as const), stuck]);
  } finally {
    clearTimeout(timer);
  }
}

/** A smaller input with the same problem: blocks and bytes are left out as long as it stays. */
export async function minimise(
  { input, problem }: FuzzFinding,
  target: FuzzTarget,
  now: () => number,
): Promise<Uint8Array> {
  const same = async (bytes: Uint8Array) => kindOf(await problemOf(target, bytes, now)) === kindOf(problem);
  let best = input;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.length; ) {
      const shorter = new Uint8Array(Buffer.concat([best.subarray(0, at), best.subarray(at + size)]));
      if (await same(shorter)) best = shorter;
      else at += size;
    }
  }
  return best;
}

/** Messages name places, which move. */
function kindOf(problem: string | undefined): string | undefined {
  return problem?.replace(/\d+/g, '#').slice(0, 60);
}
