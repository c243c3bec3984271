import { u32At } from '../fields.ts';
import type { ImaList } from '../list.ts';
import { type MemoKernel, memoKernel } from './kernel.ts';
import { MEMO_AT, MEMO_ENTRIES, MEMO_PROBES, MEMO_SLOTS, RECORD } from './layout.ts';

/** What a replay with a memo found. One element for each entry of the list. */
export interface ImaRecall {
  /** How the entry was judged when it was learned; 0: it is not known. */
  readonly marks: Uint8Array;
  /** SHA-256 of its template data, as eight words. Only of entries that are not known, and that the quote covers. */
  readonly digests: Int32Array;
}

/** Longer ones, such as buffers, are hashed and judged whenever they come. */
const LONGEST = 4096;

/**
 * Entries that were hashed and judged before, for all nodes that are judged by the same rules: the template hash of an
 * entry and what rules make of it follow from its bytes alone. All of them are compared, so that a node can choose
 * where an entry is kept, and not what is known of another. When it is full, all is forgotten.
 */
export class ImaEntryMemo {
  /** Hashes and extends for those who use the memo, which lies in its memory. */
  readonly kernel: MemoKernel;
  #count = 0;
  #end: number = MEMO_AT.records;

  private constructor(kernel: MemoKernel) {
    this.kernel = kernel;
  }

  /** `undefined` on a machine without vector instructions. */
  static create(): ImaEntryMemo | undefined {
    const kernel = memoKernel();
    return kernel && new ImaEntryMemo(kernel);
  }

  /** Entries that are known. */
  get size(): number {
    return this.#count;
  }

  /** Looks for the entries that are loaded into the kernel, and notes their marks and digests there. */
  recall(count: number, bias: number): void {
    this.kernel.recall(count, bias, this.#end);
  }

  /**
   * Keeps entries whose template hashes fit.
   *
   * @param recall of this list, by this memo
   * @param marks how each entry was judged, in a byte; 0 for those that are not to be kept
   */
  learn({ bytes, columns: { start } }: ImaList, { digests }: ImaRecall, marks: Uint8Array): void {
    for (let index = 0; index < marks.length; index += 1) {
      const mark = marks[index] ?? 0;
      const at = start[index] ?? 0;
      const length = (start[index + 1] ?? 0) - at;
      if (mark === 0 || length > LONGEST) continue;
      const record = this.#reserve(u32At(bytes, at + 4) | 0, length);
      if (record === undefined) continue;
      const { words } = this.kernel;
      for (let word = 0; word < 8; word += 1)
        words[(record + RECORD.digest) / 4 + word] = digests[8 * index + word] ?? 0;
      words[(record + RECORD.length) / 4] = length;
      words[(record + RECORD.mark) / 4] = mark;
      this.kernel.bytes.set(bytes.subarray(at, at + length), record + RECORD.bytes);
    }
  }

  /** Room for one more record, and a place in the table. @param word the first of the entry's template hash */
  #reserve(word: number, length: number): number | undefined {
    const size = Math.ceil((RECORD.bytes + length) / 16) * 16;
    if (this.#count >= MEMO_ENTRIES || this.#end + size > MEMO_AT.end) this.forget();
    const slot = this.#freeSlot(word);
    if (slot === undefined) return undefined;
    const { table } = this.kernel;
    const record = this.#end;
    table[2 * slot] = record;
    table[2 * slot + 1] = word;
    this.#end += size;
    this.#count += 1;
    return record;
  }

  #freeSlot(word: number): number | undefined {
    for (let place = 0; place < MEMO_PROBES; place += 1) {
      const slot = (word + place) & (MEMO_SLOTS - 1);
      if (this.kernel.table[2 * slot] === 0) return slot;
    }
    return undefined;
  }

  /** All of it, so that it can be filled again. */
  forget(): void {
    this.kernel.table.fill(0);
    this.#count = 0;
    this.#end = MEMO_AT.records;
  }
}
