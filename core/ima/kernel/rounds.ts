import { type Code, i32, type Local, seq, v128 } from './assembler.ts';

/** Arithmetic on words: on one, or on four messages' at once. */
export interface WordOps {
  add(left: Code, right: Code): Code;
  xor(left: Code, right: Code): Code;
  and(left: Code, right: Code): Code;
  or(left: Code, right: Code): Code;
  rotr(value: Code, bits: number): Code;
  shr(value: Code, bits: number): Code;
}

export const scalarOps: WordOps = {
  add: i32.add,
  xor: i32.xor,
  and: i32.and,
  or: i32.or,
  rotr: (value, bits) => i32.rotr(value, i32.const(bits)),
  shr: (value, bits) => i32.shrU(value, i32.const(bits)),
};

export const vectorOps: WordOps = {
  add: v128.add,
  xor: v128.xor,
  and: v128.and,
  or: v128.or,
  rotr: (value, bits) => v128.or(v128.shrU(value, bits), v128.shl(value, 32 - bits)),
  shr: v128.shrU,
};

/**
 * The 64 rounds of SHA-256 (FIPS 180-4, 6.2.2, steps 1 to 3) on eight variables.
 *
 * @param summand K and the word of round `i`: an expression, after statements that make the word
 */
export function sha256Rounds(
  ops: WordOps,
  state: readonly Local[],
  temporary: Local,
  summand: (round: number) => { readonly before: Code; readonly value: Code },
): Code {
  const at = (round: number, place: number): Local => pick(state, place - round);
  const rounds = Array.from({ length: 64 }, (_, round) => {
    const [a, b, c, d, e, f, g, h] = Array.from({ length: 8 }, (_, place) => at(round, place).get) as Octet;
    const { before, value } = summand(round);
    const choice = ops.xor(g, ops.and(e, ops.xor(f, g)));
    const majority = ops.xor(ops.and(a, b), ops.and(c, ops.xor(a, b)));
    return seq(
      before,
      temporary.set(ops.add(ops.add(h, value), ops.add(sum3(ops, e, 6, 11, 25), choice))),
      at(round, 3).set(ops.add(d, temporary.get)),
      at(round, 7).set(ops.add(ops.add(temporary.get, majority), sum3(ops, a, 2, 13, 22))),
    );
  });
  return seq(...rounds);
}

/** The word of a round, made in place of the one 16 rounds before. */
export function sha256Word(ops: WordOps, words: readonly Local[], round: number): Code {
  if (round < 16) return [];
  const w = (back: number): Code => pick(words, round - back).get;
  const s0 = ops.xor(ops.xor(ops.rotr(w(15), 7), ops.rotr(w(15), 18)), ops.shr(w(15), 3));
  const s1 = ops.xor(ops.xor(ops.rotr(w(2), 17), ops.rotr(w(2), 19)), ops.shr(w(2), 10));
  return pick(words, round).set(ops.add(ops.add(w(16), w(7)), ops.add(s0, s1)));
}

/**
 * The 80 rounds of SHA-1 (FIPS 180-4, 6.1.2, steps 1 to 3) on five variables and 16 words.
 *
 * @param constant K of each of the four kinds of round
 */
export function sha1Rounds(
  ops: WordOps,
  state: readonly Local[],
  words: readonly Local[],
  constant: (kind: number) => Code,
): Code {
  const rounds = Array.from({ length: 80 }, (_, round) => {
    const [a, b, c, d, e] = Array.from(
      { length: 5 },
      (_, place) => pick(state, place - round).get,
    ) as Quintet;
    const kind = Math.floor(round / 20);
    const word = pick(words, round);
    const w = (back: number): Code => pick(words, round - back).get;
    const next = ops.rotr(ops.xor(ops.xor(w(3), w(8)), ops.xor(w(14), w(16))), 31);
    const mixed = ops.add(sha1Mix(ops, kind, b, c, d), ops.rotr(a, 27));
    const sum = ops.add(ops.add(mixed, e), ops.add(constant(kind), word.get));
    return seq(
      round < 16 ? [] : word.set(next),
      pick(state, 4 - round).set(sum),
      pick(state, 1 - round).set(ops.rotr(b, 2)),
    );
  });
  return seq(...rounds);
}

type Octet = [Code, Code, Code, Code, Code, Code, Code, Code];
type Quintet = [Code, Code, Code, Code, Code];

function sha1Mix(ops: WordOps, kind: number, b: Code, c: Code, d: Code): Code {
  if (kind === 0) return ops.xor(d, ops.and(b, ops.xor(c, d)));
  if (kind === 2) return ops.or(ops.and(b, c), ops.and(d, ops.or(b, c)));
  return ops.xor(ops.xor(b, c), d);
}

function sum3(ops: WordOps, value: Code, first: number, second: number, third: number): Code {
  return ops.xor(ops.xor(ops.rotr(value, first), ops.rotr(value, second)), ops.rotr(value, third));
}

/** Variables change their places instead of their values: place 0 of a round is place 1 of the next. */
function pick(variables: readonly Local[], place: number): Local {
  const count = variables.length;
  const found = variables[((place % count) + count) % count];
  if (found === undefined) throw new RangeError('no variables');
  return found;
}
