import { createHash, getHashes } from 'node:crypto';
import { OTHER_HASHES } from './bank-names.ts';
import type { LogBank } from './event.ts';
import type { Extend, ReplayInput } from './replay.ts';

// node:crypto's names, where they are not the registry's.
const NODE_NAMES: ReadonlyMap<string, string> = new Map([['sm3-256', 'sm3']]);
const AVAILABLE = new Set(getHashes());

/**
 * Replays a bank whose hash no quote is accepted with, such as SM3: to look at. `undefined` where this Node cannot
 * compute it. Registers are left out where an event has no digest for the bank.
 */
export function replayOther(
  { registers, locality, extends: events }: ReplayInput,
  { alg, digestBytes }: LogBank,
): ReadonlyMap<number, Uint8Array> | undefined {
  const name = Object.entries(OTHER_HASHES).find(([, other]) => other.alg === alg)?.[0] ?? '';
  const hash = NODE_NAMES.get(name) ?? name;
  if (!AVAILABLE.has(hash)) return undefined;
  const values = new Map<number, Uint8Array>();
  for (const [register, list] of events) {
    const start = new Uint8Array(digestBytes);
    if (register === 0 && registers === 'pcr') start[digestBytes - 1] = locality;
    const value = list.reduce<Uint8Array | undefined>(
      (before, event) => extend(hash, before, event, alg),
      start,
    );
    if (value !== undefined) values.set(register, value);
  }
  return values;
}

function extend(
  hash: string,
  before: Uint8Array | undefined,
  { digests }: Extend,
  alg: number,
): Uint8Array | undefined {
  const own = digests.find(({ bank }) => bank.alg === alg)?.digest;
  if (before === undefined || own === undefined) return undefined;
  return new Uint8Array(createHash(hash).update(before).update(own).digest());
}
