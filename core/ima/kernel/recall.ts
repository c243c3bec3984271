import {
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
import { AT, MEMO_AT, MEMO_PROBES, MEMO_SLOTS, RECORD } from './layout.ts';

const ZERO = i32.const(0);
const VECTOR_BYTES = 16;
/** Of an entry of a list: behind the number of the PCR. */
const TEMPLATE_HASH = 4;

/** same(record, at, length): whether the record is of the very bytes of the entry at `at`. */
export function same(): WasmFunction {
  const f = new FunctionBuilder(['i32', 'i32', 'i32']);
  const [record, at, length] = f.params as [Local, Local, Local];
  const [offset, last] = f.locals('i32', 2) as [Local, Local];
  const difference = f.local('v128');
  const compare = (from: Code): Code => {
    const kept = v128.load(i32.add(record.get, from), RECORD.bytes);
    return difference.set(v128.or(difference.get, v128.xor(kept, v128.load(i32.add(at.get, from)))));
  };
  return f.finish(
    seq(
      ifThen(i32.sub(i32.load(record.get, RECORD.length), length.get), leave(ZERO)),
      last.set(i32.sub(length.get, i32.const(VECTOR_BYTES))),
      doWhile(
        seq(compare(offset.get), offset.set(i32.add(offset.get, i32.const(VECTOR_BYTES)))),
        i32.ltU(offset.get, last.get),
      ),
      // It overlaps the one before: no entry is shorter than a vector.
      compare(last.get),
    ),
    i32.eq(v128.bitmask(v128.ne(difference.get, v128.zero)), ZERO),
  );
}

/** find(at, length): the record of the entry at `at`, by its template hash; 0 when there is none. */
export function find(sameIndex: number): WasmFunction {
  const f = new FunctionBuilder(['i32', 'i32']);
  const [at, length] = f.params as [Local, Local];
  const [word, place, slot, record] = f.locals('i32', 4) as [Local, Local, Local, Local];
  const look = seq(
    slot.set(i32.shl(i32.and(i32.add(word.get, place.get), i32.const(MEMO_SLOTS - 1)), i32.const(3))),
    record.set(i32.load(slot.get, MEMO_AT.table)),
    // Nothing is ever taken out, so that nothing of this hash is behind a free place.
    ifThen(i32.eq(record.get, ZERO), leave(ZERO)),
    ifThen(
      i32.eq(i32.load(slot.get, MEMO_AT.table + 4), word.get),
      ifThen(call(sameIndex, record.get, at.get, length.get), leave(record.get)),
    ),
    place.set(i32.add(place.get, i32.const(1))),
  );
  return f.finish(
    seq(word.set(i32.load(at.get, TEMPLATE_HASH)), doWhile(look, i32.ltU(place.get, i32.const(MEMO_PROBES)))),
    ZERO,
  );
}

/**
 * recall(count, bias, end): notes of each entry what the memo says of it, and what to extend with when it is in there.
 * Records lie one behind the other up to `end`, in the order of some list: most often the next one is looked for next.
 */
export function recall(sameIndex: number, findIndex: number): WasmFunction {
  const f = new FunctionBuilder(['i32', 'i32', 'i32']);
  const [count, bias, end] = f.params as [Local, Local, Local];
  const [entry, at, length, record, next] = f.locals('i32', 5) as [Local, Local, Local, Local, Local];
  const start = (offset: number): Code =>
    i32.add(i32.load(i32.shl(entry.get, i32.const(2)), AT.start + offset), bias.get);
  const digest = i32.shl(entry.get, i32.const(5));
  const copy = (offset: number): Code =>
    v128.store(digest, v128.load(record.get, RECORD.digest + offset), AT.digests + offset);
  const size = i32.and(
    i32.add(length.get, i32.const(RECORD.bytes + VECTOR_BYTES - 1)),
    i32.const(-VECTOR_BYTES),
  );
  const one = seq(
    at.set(start(0)),
    length.set(i32.sub(start(4), at.get)),
    record.set(ZERO),
    i32.store8(entry.get, ZERO, AT.marks),
    ifThen(
      i32.ltU(next.get, end.get),
      ifThen(call(sameIndex, next.get, at.get, length.get), record.set(next.get)),
    ),
    ifThen(i32.eq(record.get, ZERO), record.set(call(findIndex, at.get, length.get))),
    ifThen(
      record.get,
      seq(
        copy(0),
        copy(16),
        i32.store8(entry.get, i32.load(record.get, RECORD.mark), AT.marks),
        next.set(i32.add(record.get, size)),
      ),
    ),
    entry.set(i32.add(entry.get, i32.const(1))),
  );
  return f.finish(seq(next.set(i32.const(MEMO_AT.records)), doWhile(one, i32.ltU(entry.get, count.get))));
}
