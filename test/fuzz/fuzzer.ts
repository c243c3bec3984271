import type { Coverage } from './coverage.ts';
import { mutate } from './mutate.ts';
import type { Random } from './random.ts';

/** Something that takes bytes which somebody else chose. */
export interface FuzzTarget {
  readonly name: string;
  readonly seeds: () => readonly Uint8Array[];
  /** Returns, or throws what a caller expects; anything else is a finding. */
  readonly run: (bytes: Uint8Array) => void;
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
const LONGEST_INPUT = 256 * 1024;
const MOST_FINDINGS = 5;

/** Tries inputs until the time is over; keeps those that reach what none did before, and changes them further. */
export function fuzz(target: FuzzTarget, { milliseconds, random, coverage, now }: FuzzOptions): FuzzReport {
  const corpus = [...target.seeds(), new Uint8Array()];
  const known = new Set<string>();
  const findings = new Map<string, FuzzFinding>();
  const attempt = (input: Uint8Array): void => {
    const problem = problemOf(target, input, now);
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
  for (const seed of corpus) attempt(seed);
  learn(false);
  const deadline = now() + milliseconds;
  let runs = corpus.length;
  const seeds = corpus.length;
  while (now() < deadline && findings.size < MOST_FINDINGS) {
    const batch = Array.from({ length: BATCH }, () => next(corpus, random, target.words ?? []));
    for (const input of batch) attempt(input);
    runs += BATCH;
    if (!learn(false)) continue;
    for (const input of batch) {
      attempt(input);
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
export function problemOf(
  { run, expects }: FuzzTarget,
  input: Uint8Array,
  now: () => number,
): string | undefined {
  const started = now();
  try {
    run(Uint8Array.from(input));
  } catch (error) {
    if (!expects(error)) return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return now() - started > SLOW_MS ? 'takes longer than two seconds' : undefined;
}

/** A smaller input with the same problem: blocks and bytes are left out as long as it stays. */
export function minimise({ input, problem }: FuzzFinding, target: FuzzTarget, now: () => number): Uint8Array {
  const same = (bytes: Uint8Array) => kindOf(problemOf(target, bytes, now)) === kindOf(problem);
  let best = input;
  for (let size = Math.ceil(best.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < best.length; ) {
      const shorter = new Uint8Array(Buffer.concat([best.subarray(0, at), best.subarray(at + size)]));
      if (same(shorter)) best = shorter;
      else at += size;
    }
  }
  return best;
}

/** Messages name places, which move. */
function kindOf(problem: string | undefined): string | undefined {
  return problem?.replace(/\d+/g, '#').slice(0, 60);
}
