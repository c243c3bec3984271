import type { Random } from './random.ts';

const INTERESTING = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
];
const MOST_EDITS = 6;
const LONGEST_BLOCK = 64;

type Edit = (
  bytes: Uint8Array,
  random: Random,
  others: readonly Uint8Array[],
  words: readonly string[],
) => Uint8Array;

const EDITS: readonly [Edit, ...Edit[]] = [
  (bytes, random) =>
    patched(bytes, random, (at, copy) => (copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8)))),
  (bytes, random) => patched(bytes, random, (at, copy) => (copy[at] = random.below(256))),
  // Lengths and counts: a little more or less than they are, or at the edge of their type.
  (bytes, random) => withNumber(bytes, random, (before) => before + random.below(35) - 17),
  (bytes, random) => withNumber(bytes, random, () => INTERESTING[random.below(INTERESTING.length)] ?? 0),
  (bytes, random) => {
    const [from, to] = block(bytes, random);
    return joined(bytes.subarray(0, from), bytes.subarray(to));
  },
  (bytes, random) => {
    const [from, to] = block(bytes, random);
    const at = random.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), bytes.subarray(from, to), bytes.subarray(at));
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length + 1)),
  (bytes, random, others) => {
    const other = others[random.below(others.length)] ?? bytes;
    return joined(
      bytes.subarray(0, random.below(bytes.length + 1)),
      other.subarray(random.below(other.length + 1)),
    );
  },
  (bytes, random, _others, words) => {
    const word = words[random.below(words.length)];
    const at = random.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), Buffer.from(word ?? '\0'), bytes.subarray(at));
  },
];

/** A few changes of one input; some take parts of others, or words that the format knows. */
export function mutate(
  input: Uint8Array,
  random: Random,
  others: readonly Uint8Array[],
  words: readonly string[],
): Uint8Array {
  let bytes: Uint8Array = Uint8Array.from(input);
  for (let edits = 1 + random.below(MOST_EDITS); edits > 0; edits -= 1) {
    bytes = Uint8Array.from(random.of(EDITS)(bytes, random, others, words));
  }
  return bytes;
}

function patched(
  bytes: Uint8Array,
  random: Random,
  patch: (at: number, copy: Uint8Array) => void,
): Uint8Array {
  if (bytes.length > 0) patch(random.below(bytes.length), bytes);
  return bytes;
}

/** Changes a number of 1, 2 or 4 bytes in either order. */
function withNumber(bytes: Uint8Array, random: Random, change: (before: number) => number): Uint8Array {
  const size = random.of([1, 2, 4]);
  if (bytes.length < size) return bytes;
  const at = random.below(bytes.length - size + 1);
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, size);
  const little = random.below(2) === 0;
  const before =
    size === 1 ? view.getUint8(0) : size === 2 ? view.getUint16(0, little) : view.getUint32(0, little);
  const after = change(before);
  if (size === 1) view.setUint8(0, after);
  else if (size === 2) view.setUint16(0, after, little);
  else view.setUint32(0, after, little);
  return bytes;
}

function block(bytes: Uint8Array, random: Random): readonly [number, number] {
  const from = random.below(bytes.length + 1);
  return [from, Math.min(bytes.length, from + 1 + random.below(LONGEST_BLOCK))];
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
