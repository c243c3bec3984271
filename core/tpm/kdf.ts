import { createHmac, hash } from 'node:crypto';
import { concat, Writer } from '../bytes/writer.ts';
import type { HashName } from './constants.ts';

const ZERO = Uint8Array.of(0);

export interface KdfaInput {
  readonly hash: HashName;
  readonly key: Uint8Array;
  readonly label: string;
  readonly contextU?: Uint8Array;
  readonly contextV?: Uint8Array;
  /** Length of the result; a multiple of 8. */
  readonly bits: number;
}

/** KDFa (TPM 2.0 Part 1, 11.4.10.2): SP 800-108 in counter mode with HMAC. */
export function kdfa(input: KdfaInput): Uint8Array {
  const { key, label, contextU = new Uint8Array(), contextV = new Uint8Array(), bits } = input;
  const length = new Writer().u32(bits).bytes();
  const fixed = concat(Buffer.from(label), ZERO, contextU, contextV, length);
  return expand(bits, (counter) => createHmac(input.hash, key).update(counter).update(fixed).digest());
}

export interface KdfeInput {
  readonly hash: HashName;
  /** x coordinate of the shared point. */
  readonly z: Uint8Array;
  readonly label: string;
  /** x coordinate of the ephemeral key. */
  readonly partyU: Uint8Array;
  /** x coordinate of the static key. */
  readonly partyV: Uint8Array;
  /** Length of the result; a multiple of 8. */
  readonly bits: number;
}

/** KDFe (TPM 2.0 Part 1, 11.4.10.3): the one-step derivation of SP 800-56A with a hash. */
export function kdfe({ hash: name, z, label, partyU, partyV, bits }: KdfeInput): Uint8Array {
  const fixed = concat(z, Buffer.from(label), ZERO, partyU, partyV);
  return expand(bits, (counter) => hash(name, concat(counter, fixed), 'buffer'));
}

function expand(bits: number, block: (counter: Uint8Array) => Uint8Array): Uint8Array {
  if (!Number.isInteger(bits) || bits <= 0 || bits % 8 !== 0) {
    throw new RangeError(`${bits} bits cannot be derived: a multiple of 8 expected`);
  }
  const out = new Uint8Array(bits / 8);
  for (let at = 0, counter = 1; at < out.length; counter += 1) {
    const bytes = block(new Writer().u32(counter).bytes()).subarray(0, out.length - at);
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}
