import { setTimeout as sleep } from 'node:timers/promises';
import { cpuMicroseconds, median } from './measure.ts';
import { bareVerify } from './quotes.ts';
import type { ProcessNumbers, ServiceProcess } from './world.ts';

/** Polls of a fleet by all verifier processes together, over one window. */
export interface Polling {
  readonly verifiers: number;
  readonly nodes: number;
  readonly pollsPerSecond: number;
  /** CPU of the verifier processes for one attestation with everything stored. */
  readonly cpuMilliseconds: number;
  /** The same in bare verifications of an ECDSA P-256 quote, measured in between. */
  readonly inVerifications: number;
  readonly verifyMicroseconds: number;
  /** How late the node that was due first was at the end. */
  readonly latenessSeconds: number;
}

const PROBE_MS = 40;
const PROBE_EVERY_MS = 1000;

/** @throws {Error} when a node did not pass in the window: then the figure would be of something else */
export async function benchPolling(
  verifiers: readonly ServiceProcess[],
  nodes: number,
  seconds: number,
): Promise<Polling> {
  const before = await Promise.all(verifiers.map((verifier) => verifier.numbers()));
  const verify = await probeWhile(seconds);
  const after = await Promise.all(verifiers.map((verifier) => verifier.numbers()));
  const change = (of: (numbers: ProcessNumbers) => number) =>
    after.reduce((sum, numbers) => sum + of(numbers), 0) -
    before.reduce((sum, numbers) => sum + of(numbers), 0);
  const passes = change(({ verdicts }) => verdicts.pass ?? 0);
  const others = change(({ verdicts }) => (verdicts.fail ?? 0) + (verdicts.inconclusive ?? 0));
  if (others > 0 || passes === 0) throw new Error(`${others} polls did not pass, ${passes} did`);
  const elapsed = change(({ at }) => at) / verifiers.length / 1000;
  const cpuMilliseconds = (change(({ cpuSeconds }) => cpuSeconds) * 1000) / passes;
  return {
    verifiers: verifiers.length,
    nodes,
    pollsPerSecond: passes / elapsed,
    cpuMilliseconds,
    inVerifications: (cpuMilliseconds * 1000) / verify,
    verifyMicroseconds: verify,
    latenessSeconds: Math.max(...after.map(({ latenessSeconds }) => latenessSeconds)),
  };
}

// The machine under load, as the verifiers have it: a short probe every second.
async function probeWhile(seconds: number): Promise<number> {
  const verify = bareVerify();
  const probes: number[] = [];
  const end = performance.now() + seconds * 1000;
  while (performance.now() < end) {
    probes.push(cpuMicroseconds(verify, PROBE_MS));
    await sleep(PROBE_EVERY_MS - PROBE_MS);
  }
  return median(probes);
}

/** Waits until every node has been polled and nothing is late, or `withinSeconds` are over. */
export async function settled(verifiers: readonly ServiceProcess[], nodes: number, withinSeconds: number) {
  const deadline = performance.now() + withinSeconds * 1000;
  for (;;) {
    const numbers = await Promise.all(verifiers.map((verifier) => verifier.numbers()));
    const held = numbers.reduce((sum, one) => sum + one.nodes, 0);
    const passes = numbers.reduce((sum, { verdicts }) => sum + (verdicts.pass ?? 0), 0);
    if (held === nodes && numbers.every((one) => one.nodes > 0) && passes >= nodes) return;
    if (performance.now() > deadline) {
      throw new Error(
        `the verifiers hold ${held} of ${nodes} nodes after ${withinSeconds} s, ${passes} passes`,
      );
    }
    await sleep(250);
  }
}
