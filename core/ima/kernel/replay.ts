import { digestSize, type HashName } from '../../tpm/constants.ts';
import { legacyHashedData } from '../fields.ts';
import { IMA_FLAG, type ImaList } from '../list.ts';
import type { ImaExtendRule, ImaReplay, ImaState } from '../replay-plain.ts';
import { Sha1 } from '../sha1.ts';
import { beWord, Sha256 } from '../sha256.ts';
import { imaKernel, type Kernel } from './kernel.ts';
import { AT, CHUNK_BYTES, CHUNK_ENTRIES, LANES, MAX_BLOCKS } from './layout.ts';
import type { ImaEntryMemo, ImaRecall } from './memo.ts';

const BLOCK_BYTES = 64;
/** The bit behind a message and its length. */
const PADDING_BYTES = 9;
/** Below this the plain replay is done before the kernel has its data. */
const WORTH_ENTRIES = 8;

/**
 * What replayImaPlain answers, several times as fast, for what nearly all machines send: a list with SHA-1 template
 * hashes, against a SHA-256 bank. `undefined` for everything else.
 */
export function kernelReplay(
  list: ImaList,
  from: ImaState,
  quoted: ReadonlyMap<HashName, Uint8Array>,
  rule: ImaExtendRule,
  memo?: ImaEntryMemo,
): ImaReplay | undefined {
  const start = from.pcrs.get('sha256');
  const expected = quoted.get('sha256');
  const size = digestSize('sha256');
  if (start?.length !== size || expected?.length !== size) return undefined;
  const usual = rule === 'template-hash' && list.hash === 'sha1' && from.pcrs.size === 1 && quoted.size === 1;
  if (!usual || list.length < WORTH_ENTRIES) return undefined;
  const kernel = memo?.kernel ?? imaKernel();
  return kernel && new KernelReplay(kernel, list, memo).run(from, start, expected);
}

/** Made once: a poll with a few new entries should not make it again. */
const WORK = {
  /** For each entry of a chunk, how many blocks it has; 0 for those that are not for the kernel. */
  blocks: new Uint8Array(CHUNK_ENTRIES),
  /** For each number of blocks: how many entries have it, where they end in the order, and where the next one goes. */
  counts: new Uint32Array(MAX_BLOCKS + 1),
  ends: new Uint32Array(MAX_BLOCKS + 1),
  next: new Uint32Array(MAX_BLOCKS + 1),
  sha256: new Sha256(),
  sha1: new Sha1(),
};

class KernelReplay {
  readonly #kernel: Kernel;
  readonly #list: ImaList;
  readonly #memo: ImaEntryMemo | undefined;
  readonly #recall: ImaRecall | undefined;
  #wrongHashes = 0;
  #firstWrong: number | undefined;

  constructor(kernel: Kernel, list: ImaList, memo: ImaEntryMemo | undefined) {
    this.#kernel = kernel;
    this.#list = list;
    this.#memo = memo;
    const { length } = list;
    this.#recall = memo && { marks: new Uint8Array(length), digests: new Int32Array(8 * length) };
  }

  run(from: ImaState, start: Uint8Array, expected: Uint8Array): ImaReplay {
    const { length } = this.#list;
    writeWords(this.#kernel.pcr, start);
    writeWords(this.#kernel.expected, expected);
    let covered: number | undefined;
    for (let first = 0; first < length && covered === undefined; ) {
      const end = this.#chunkEnd(first);
      covered = this.#chunk(first, end);
      first = end;
    }
    const pcr = readWords(this.#kernel.pcr);
    if (covered === undefined && Buffer.compare(pcr, expected) === 0) covered = length;
    return {
      covered,
      heldBack: length - (covered ?? 0),
      state: { entries: from.entries + (covered ?? length), pcrs: new Map([['sha256', pcr]]) },
      wrongHashes: this.#wrongHashes,
      firstWrongHash: this.#firstWrong,
      ...(this.#recall ? { recall: this.#recall } : {}),
    };
  }

  /** Hashes and extends entries; how many of the list are covered when the PCR has the expected value. */
  #chunk(first: number, end: number): number | undefined {
    const count = end - first;
    const bias = AT.list - (this.#list.columns.start[first] ?? 0);
    this.#load(first, end);
    this.#memo?.recall(count, bias);
    this.#sort(first, count);
    this.#hash(bias);
    this.#noteRecall(first, count);
    const reached = this.#kernel.extend(count);
    this.#noteWrong(first, reached < 0 ? count : reached);
    return reached < 0 ? undefined : first + reached;
  }

  /** As many entries as fit, at least one: none is longer than a chunk. */
  #chunkEnd(first: number): number {
    const { start } = this.#list.columns;
    const base = start[first] ?? 0;
    let end = Math.min(first + CHUNK_ENTRIES, this.#list.length);
    while (end > first + 1 && (start[end] ?? 0) - base > CHUNK_BYTES) end = first + ((end - first) >> 1);
    return end;
  }

  #load(first: number, end: number): void {
    const { bytes, columns } = this.#list;
    const { start, data } = columns;
    this.#kernel.bytes.set(bytes.subarray(start[first], start[end]), AT.list);
    this.#kernel.start.set(start.subarray(first, end + 1));
    this.#kernel.data.set(data.subarray(first, end));
  }

  /** Puts the entries in the order of their number of blocks, each number filled up to a multiple of four. */
  #sort(first: number, count: number): void {
    const { start, data } = this.#list.columns;
    const { marks, wrong } = this.#kernel;
    const counts = WORK.counts.fill(0);
    for (let i = 0; i < count; i++) {
      const bytes = (start[first + i + 1] ?? 0) - (data[first + i] ?? 0);
      const needed = Math.ceil((bytes + PADDING_BYTES) / BLOCK_BYTES);
      const known = marks[i] !== 0;
      const blocks = !known && this.#isPlain(first + i) && needed <= MAX_BLOCKS ? needed : 0;
      WORK.blocks[i] = blocks;
      if (known) wrong[i] = 0;
      else if (blocks === 0) this.#single(first + i, i);
      else counts[blocks] = (counts[blocks] ?? 0) + 1;
    }
    for (let blocks = 1; blocks <= MAX_BLOCKS; blocks++) {
      const before = WORK.ends[blocks - 1] ?? 0;
      WORK.next[blocks] = before;
      WORK.ends[blocks] = before + Math.ceil((counts[blocks] ?? 0) / LANES) * LANES;
    }
    this.#number(count);
  }

  #number(count: number): void {
    const { order } = this.#kernel;
    for (let i = 0; i < count; i++) {
      const blocks = WORK.blocks[i] ?? 0;
      if (blocks === 0) continue;
      const at = WORK.next[blocks] ?? 0;
      WORK.next[blocks] = at + 1;
      // Who is last in a row of four stands for those that are missing.
      for (let fill = at; fill === at || fill % LANES !== 0; fill++) order[fill] = i;
    }
  }

  #hash(bias: number): void {
    for (let blocks = 1; blocks <= MAX_BLOCKS; blocks++) {
      const from = WORK.ends[blocks - 1] ?? 0;
      const to = WORK.ends[blocks] ?? 0;
      if (from < to) this.#kernel.hash(AT.order + 4 * from, AT.order + 4 * to, blocks, bias);
    }
  }

  /** Whether what the kernel hashes is what stands in the list. */
  #isPlain(index: number): boolean {
    const { flags, template } = this.#list.columns;
    if (((flags[index] ?? 0) & IMA_FLAG.VIOLATION) !== 0) return false;
    return this.#list.templates[template[index] ?? 0]?.legacy !== true;
  }

  /** An entry that is not for the kernel: a violation, a legacy one or a long one. */
  #single(index: number, place: number): void {
    const { bytes, columns, templates } = this.#list;
    const digest = this.#kernel.digests.subarray(8 * place, 8 * place + 8);
    if (((columns.flags[index] ?? 0) & IMA_FLAG.VIOLATION) !== 0) {
      digest.fill(-1);
      this.#kernel.wrong[place] = 0;
      return;
    }
    const legacy = templates[columns.template[index] ?? 0]?.legacy === true;
    const data = legacy ? legacyHashedData(this.#list, index) : bytes;
    const start = legacy ? 0 : (columns.data[index] ?? 0);
    const end = legacy ? data.length : (columns.start[index + 1] ?? 0);
    WORK.sha256.digest(data, start, end);
    digest.set(WORK.sha256.words);
    WORK.sha1.digest(data, start, end);
    const claimed = (columns.start[index] ?? 0) + 4;
    const fits = WORK.sha1.words.every((word, i) => word === beWord(bytes, claimed + 4 * i));
    this.#kernel.wrong[place] = fits ? 0 : 1;
  }

  #noteRecall(first: number, count: number): void {
    const { marks, digests } = this.#kernel;
    this.#recall?.marks.set(marks.subarray(0, count), first);
    this.#recall?.digests.set(digests.subarray(0, 8 * count), 8 * first);
  }

  #noteWrong(first: number, count: number): void {
    const { wrong } = this.#kernel;
    for (let i = 0; i < count; i++) {
      if (wrong[i] === 0) continue;
      this.#wrongHashes++;
      this.#firstWrong ??= first + i;
    }
  }
}

function writeWords(words: Int32Array, bytes: Uint8Array): void {
  for (let i = 0; i < words.length; i++) words[i] = beWord(bytes, 4 * i);
}

function readWords(words: Int32Array): Uint8Array {
  const out = new Uint8Array(4 * words.length);
  const view = new DataView(out.buffer);
  for (const [i, word] of words.entries()) view.setInt32(4 * i, word);
  return out;
}
