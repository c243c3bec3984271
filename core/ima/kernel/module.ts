import { PAIR_PADDING, SHA256_INITIAL, SHA256_K } from '../sha256.ts';
import {
  assemble,
  type Code,
  call,
  doWhile,
  FunctionBuilder,
  i32,
  ifThen,
  type Local,
  leave,
  seq,
  v128,
  type WasmFunction,
} from './assembler.ts';
import { AT, LANES, MEMO_PAGES, MEMORY_PAGES, SLOT_BYTES } from './layout.ts';
import { find, recall, same } from './recall.ts';
import { scalarOps, sha1Rounds, sha256Rounds, sha256Word, vectorOps } from './rounds.ts';

const ZERO = i32.const(0);
const FUNCTION = {
  pad: 0,
  transpose: 1,
  sha256: 2,
  sha1: 3,
  store: 4,
  hash: 5,
  extend: 6,
  same: 7,
  find: 8,
  recall: 9,
} as const;

/** The kernel's module: hashes template data four entries at a time, extends a PCR of SHA-256, finds entries in a memo. */
export function kernelModule(): Uint8Array<ArrayBuffer> {
  const memo = [same(), find(FUNCTION.same), recall(FUNCTION.same, FUNCTION.find)];
  const functions = [pad(), transpose(), sha256(), sha1(), store(), hash(), extend(), ...memo];
  const exported = { hash: FUNCTION.hash, extend: FUNCTION.extend, recall: FUNCTION.recall };
  return assemble(functions, exported, { initial: MEMORY_PAGES, most: MEMORY_PAGES + MEMO_PAGES });
}

/** pad(slot, source, length, blocks): copies a message and pads it to blocks (FIPS 180-4, 5.1.1). */
function pad(): WasmFunction {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32']);
  const [slot, source, length, blocks] = f.params as [Local, Local, Local, Local];
  const [at, last, rest] = f.locals('i32', 3) as [Local, Local, Local];
  const to = i32.add(slot.get, at.get);
  const from = i32.add(source.get, at.get);
  const next = at.set(i32.add(at.get, i32.const(16)));
  return f.finish(
    seq(
      last.set(i32.and(length.get, i32.const(~15))),
      ifThen(last.get, doWhile(seq(v128.store(to, v128.load(from)), next), i32.ltU(at.get, last.get))),
      // The vector with the end of the message: its bytes, the bit behind them and nothing of what follows.
      rest.set(i32.shl(i32.and(length.get, i32.const(15)), i32.const(4))),
      v128.store(
        to,
        v128.or(v128.and(v128.load(from), v128.load(rest.get, AT.keep)), v128.load(rest.get, AT.mark)),
      ),
      next,
      last.set(i32.shl(blocks.get, i32.const(6))),
      ifThen(
        i32.ltU(at.get, last.get),
        doWhile(seq(v128.store(to, v128.zero), next), i32.ltU(at.get, last.get)),
      ),
      // The length in bits, most significant byte first. Messages are short, so two bytes are enough.
      at.set(i32.add(slot.get, last.get)),
      i32.store8(i32.sub(at.get, i32.const(2)), i32.shrU(length.get, i32.const(5))),
      i32.store8(i32.sub(at.get, i32.const(1)), i32.shl(length.get, i32.const(3))),
    ),
  );
}

/** transpose(offset): the block at `offset` of four padded messages, word by word. */
function transpose(): WasmFunction {
  const f = new FunctionBuilder(['i32']);
  const [offset] = f.params as [Local];
  const parts = Array.from({ length: 4 }, (_, part) => {
    const rows = Array.from({ length: LANES }, (_, lane) =>
      bigEndian(v128.load(offset.get, AT.slots + lane * SLOT_BYTES + 16 * part)),
    );
    const { before, columns } = transposed(f, rows);
    return seq(
      before,
      ...columns.map((column, i) => v128.store(ZERO, column, AT.words + 16 * (4 * part + i))),
    );
  });
  return f.finish(seq(...parts));
}

/** sha256(): one block of four messages. */
function sha256(): WasmFunction {
  const f = new FunctionBuilder([]);
  const state = f.locals('v128', 8);
  const words = f.locals('v128', 16);
  const rounds = sha256Rounds(vectorOps, state, f.local('v128'), (round) => ({
    before: sha256Word(vectorOps, words, round),
    value: v128.add(v128.load(ZERO, AT.k256 + 16 * round), words[round % 16]?.get ?? []),
  }));
  return f.finish(seq(loadWords(words), block(state, AT.state, rounds)));
}

/** sha1(): the same of SHA-1. */
function sha1(): WasmFunction {
  const f = new FunctionBuilder([]);
  const state = f.locals('v128', 5);
  const words = f.locals('v128', 16);
  const rounds = sha1Rounds(vectorOps, state, words, (kind) => v128.load(ZERO, AT.k1 + 16 * kind));
  return f.finish(seq(loadWords(words), block(state, AT.state + 8 * 16, rounds)));
}

function loadWords(words: readonly Local[]): Code {
  return seq(...words.map((word, i) => word.set(v128.load(ZERO, AT.words + 16 * i))));
}

/** Loads a state, does the rounds and adds to the state what they made. */
function block(state: readonly Local[], at: number, rounds: Code): Code {
  const load = (i: number): Code => v128.load(ZERO, at + 16 * i);
  return seq(
    ...state.map((word, i) => word.set(load(i))),
    rounds,
    ...state.map((word, i) => v128.store(ZERO, v128.add(word.get, load(i)), at + 16 * i)),
  );
}

/** store(order, bias): notes the digests of four entries, and which template hashes in the list are wrong. */
function store(): WasmFunction {
  const f = new FunctionBuilder(['i32', 'i32']);
  const [order, bias] = f.params as [Local, Local];
  const [difference, wrong] = [f.local('v128'), f.local('i32')];
  const entries = f.locals('i32', LANES);
  const word = (i: number): Code => v128.load(ZERO, AT.state + 16 * i);
  const digests = [0, 4].map((first) => {
    const { before, columns } = transposed(
      f,
      [0, 1, 2, 3].map((i) => word(first + i)),
    );
    const stores = columns.map((column, lane) =>
      v128.store(i32.shl(entries[lane]?.get ?? [], i32.const(5)), column, AT.digests + 4 * first),
    );
    return seq(before, ...stores);
  });
  // Four words of the template hash from its first byte, and from its fifth.
  const claims = [4, 8].map((skip) => {
    const start = (lane: number): Code => i32.load(i32.shl(entries[lane]?.get ?? [], i32.const(2)), AT.start);
    const rows = entries.map((_, lane) => bigEndian(v128.load(i32.add(start(lane), bias.get), skip)));
    return transposed(f, rows);
  });
  const [first, second] = claims as [Transposed, Transposed];
  const differs = (claimed: Code, i: number): Code =>
    difference.set(v128.or(difference.get, v128.xor(claimed, word(8 + i))));
  return f.finish(
    seq(
      ...entries.map((entry, lane) => entry.set(i32.load(order.get, 4 * lane))),
      ...digests,
      first.before,
      ...first.columns.map(differs),
      second.before,
      differs(second.columns[3] ?? [], 4),
      wrong.set(v128.bitmask(v128.ne(difference.get, v128.zero))),
      ...entries.map((entry, lane) =>
        i32.store8(entry.get, i32.and(i32.shrU(wrong.get, i32.const(lane)), i32.const(1)), AT.wrong),
      ),
    ),
  );
}

/**
 * hash(order, end, blocks, bias): hashes the template data of the entries that are numbered from `order` to `end`.
 * `bias` is what to add to a place in the list for its address.
 */
function hash(): WasmFunction {
  const f = new FunctionBuilder(['i32', 'i32', 'i32', 'i32']);
  const [order, end, blocks, bias] = f.params as [Local, Local, Local, Local];
  const [entry, source, at] = f.locals('i32', 3) as [Local, Local, Local];
  const padded = Array.from({ length: LANES }, (_, lane) =>
    seq(
      entry.set(i32.shl(i32.load(order.get, 4 * lane), i32.const(2))),
      source.set(i32.add(i32.load(entry.get, AT.data), bias.get)),
      call(
        FUNCTION.pad,
        i32.const(AT.slots + lane * SLOT_BYTES),
        source.get,
        i32.sub(i32.add(i32.load(entry.get, AT.start + 4), bias.get), source.get),
        blocks.get,
      ),
    ),
  );
  const initial = Array.from({ length: 13 }, (_, i) =>
    v128.store(ZERO, v128.load(ZERO, AT.initial + 16 * i), AT.state + 16 * i),
  );
  const blockOf4 = seq(
    call(FUNCTION.transpose, at.get),
    call(FUNCTION.sha256),
    call(FUNCTION.sha1),
    at.set(i32.add(at.get, i32.const(64))),
  );
  return f.finish(
    doWhile(
      seq(
        ...padded,
        ...initial,
        at.set(ZERO),
        doWhile(blockOf4, i32.ltU(at.get, i32.shl(blocks.get, i32.const(6)))),
        call(FUNCTION.store, order.get, bias.get),
        order.set(i32.add(order.get, i32.const(4 * LANES))),
      ),
      i32.ltU(order.get, end.get),
    ),
  );
}

/** extend(count): extends with the digests of entries until the PCR has the expected value; after how many, or -1. */
function extend(): WasmFunction {
  const f = new FunctionBuilder(['i32']);
  const [count] = f.params as [Local];
  const [entry, temporary, difference] = f.locals('i32', 3) as [Local, Local, Local];
  const [pcr, state, words] = [f.locals('i32', 8), f.locals('i32', 8), f.locals('i32', 16)];
  const digest = i32.shl(entry.get, i32.const(5));
  const first = sha256Rounds(scalarOps, state, temporary, (round) => ({
    before: sha256Word(scalarOps, words, round),
    value: i32.add(i32.const(SHA256_K[round] ?? 0), words[round % 16]?.get ?? []),
  }));
  const second = sha256Rounds(scalarOps, state, temporary, (round) => ({
    before: [],
    value: i32.const((SHA256_K[round] ?? 0) + (PAIR_PADDING[round] ?? 0)),
  }));
  const save = seq(...pcr.map((word, i) => i32.store(ZERO, word.get, AT.pcr + 4 * i)));
  const expected = (i: number): Code => i32.load(ZERO, AT.expected + 4 * i);
  const initial = (i: number): Code => i32.const(SHA256_INITIAL[i] ?? 0);
  const body = seq(
    difference.set(ZERO),
    ...pcr.map((word, i) => difference.set(i32.or(difference.get, i32.xor(word.get, expected(i))))),
    ifThen(i32.eq(difference.get, ZERO), seq(save, leave(entry.get))),
    ...pcr.map((word, i) => seq(words[i]?.set(word.get) ?? [], state[i]?.set(initial(i)) ?? [])),
    ...words.slice(8).map((word, i) => word.set(i32.load(digest, AT.digests + 4 * i))),
    first,
    ...pcr.map((word, i) => {
      const sum = i32.add(state[i]?.get ?? [], initial(i));
      return seq(word.set(sum), state[i]?.set(word.get) ?? []);
    }),
    second,
    ...pcr.map((word, i) => word.set(i32.add(word.get, state[i]?.get ?? []))),
    entry.set(i32.add(entry.get, i32.const(1))),
  );
  return f.finish(
    seq(
      ...pcr.map((word, i) => word.set(i32.load(ZERO, AT.pcr + 4 * i))),
      doWhile(body, i32.ltU(entry.get, count.get)),
      save,
    ),
    i32.const(-1),
  );
}

interface Transposed {
  readonly before: Code;
  readonly columns: readonly Code[];
}

/** Four rows of four words as four columns. */
function transposed(f: FunctionBuilder, rows: readonly Code[]): Transposed {
  const [low01, high01, low23, high23] = f.locals('v128', 4) as [Local, Local, Local, Local];
  const row = f.locals('v128', 4);
  const [a, b, c, d] = row.map(({ get }) => get) as [Code, Code, Code, Code];
  const before = seq(
    ...row.map((local, i) => local.set(rows[i] ?? [])),
    low01.set(v128.shuffle(a, b, wordsOf(0, 4, 1, 5))),
    high01.set(v128.shuffle(a, b, wordsOf(2, 6, 3, 7))),
    low23.set(v128.shuffle(c, d, wordsOf(0, 4, 1, 5))),
    high23.set(v128.shuffle(c, d, wordsOf(2, 6, 3, 7))),
  );
  const columns = [
    v128.shuffle(low01.get, low23.get, wordsOf(0, 1, 4, 5)),
    v128.shuffle(low01.get, low23.get, wordsOf(2, 3, 6, 7)),
    v128.shuffle(high01.get, high23.get, wordsOf(0, 1, 4, 5)),
    v128.shuffle(high01.get, high23.get, wordsOf(2, 3, 6, 7)),
  ];
  return { before, columns };
}

/** Bytes of words, out of the eight words of two vectors. */
function wordsOf(...words: readonly number[]): readonly number[] {
  return words.flatMap((word) => [0, 1, 2, 3].map((byte) => 4 * word + byte));
}

/** Four words whose bytes stand in the other order. */
function bigEndian(value: Code): Code {
  return v128.shuffle(value, v128.zero, [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]);
}
