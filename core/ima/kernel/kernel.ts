import { SHA1_INITIAL } from '../sha1.ts';
import { SHA256_INITIAL, SHA256_K } from '../sha256.ts';
import { AT, CHUNK_ENTRIES, MEMO_AT, MEMO_PAGES, MEMO_SLOTS } from './layout.ts';
import { kernelModule } from './module.ts';

// The part of the JavaScript API (WebAssembly JavaScript Interface 2.0) that is used: no library declares it here.
declare const WebAssembly: {
  validate(bytes: Uint8Array<ArrayBuffer>): boolean;
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object) => { readonly exports: KernelExports };
};

interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  hash(order: number, end: number, blocks: number, bias: number): void;
  extend(count: number): number;
  recall(count: number, bias: number, end: number): void;
}

/** The kernel and views of its memory (layout.ts). One at a time uses it, from beginning to end. */
export interface Kernel extends Pick<KernelExports, 'hash' | 'extend'> {
  readonly bytes: Uint8Array;
  readonly pcr: Int32Array;
  readonly expected: Int32Array;
  readonly order: Uint32Array;
  readonly data: Uint32Array;
  readonly start: Uint32Array;
  readonly digests: Int32Array;
  readonly wrong: Uint8Array;
  readonly marks: Uint8Array;
}

/** A kernel with room for a memo, which is its own. */
export interface MemoKernel extends Kernel, Pick<KernelExports, 'recall'> {
  /** All of its memory. */
  readonly words: Int32Array;
  readonly table: Int32Array;
}

let compiled: object | undefined;
let kernel: Kernel | undefined;
let tried = false;

/** The kernel of this thread, made at first use. `undefined` on a machine without vector instructions. */
export function imaKernel(): Kernel | undefined {
  if (!tried) {
    const module = kernelModule();
    compiled = WebAssembly.validate(module) ? new WebAssembly.Module(module) : undefined;
    kernel = compiled && viewsOf(new WebAssembly.Instance(compiled).exports);
  }
  tried = true;
  return kernel;
}

/** Another one; what is not used of its memory takes none of the machine's. */
export function memoKernel(): MemoKernel | undefined {
  if (!imaKernel() || !compiled) return undefined;
  const { exports } = new WebAssembly.Instance(compiled);
  exports.memory.grow(MEMO_PAGES);
  const { buffer } = exports.memory;
  return {
    ...viewsOf(exports),
    recall: exports.recall,
    words: new Int32Array(buffer),
    table: new Int32Array(buffer, MEMO_AT.table, 2 * MEMO_SLOTS),
  };
}

function viewsOf({ memory: { buffer }, hash, extend }: KernelExports): Kernel {
  writeTables(buffer);
  return {
    hash,
    extend,
    bytes: new Uint8Array(buffer),
    pcr: new Int32Array(buffer, AT.pcr, 8),
    expected: new Int32Array(buffer, AT.expected, 8),
    order: new Uint32Array(buffer, AT.order, (AT.data - AT.order) / 4),
    data: new Uint32Array(buffer, AT.data, CHUNK_ENTRIES),
    start: new Uint32Array(buffer, AT.start, CHUNK_ENTRIES + 1),
    digests: new Int32Array(buffer, AT.digests, 8 * CHUNK_ENTRIES),
    wrong: new Uint8Array(buffer, AT.wrong, CHUNK_ENTRIES),
    marks: new Uint8Array(buffer, AT.marks, CHUNK_ENTRIES),
  };
}

function writeTables(buffer: ArrayBuffer): void {
  writeSplats(buffer, AT.k256, SHA256_K);
  // FIPS 180-4, 4.2.1.
  writeSplats(buffer, AT.k1, Int32Array.of(0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6));
  writeSplats(buffer, AT.initial, SHA256_INITIAL);
  writeSplats(buffer, AT.initial + 8 * 16, SHA1_INITIAL);
  const bytes = new Uint8Array(buffer);
  for (let n = 0; n < 16; n++) {
    bytes.fill(0xff, AT.keep + 16 * n, AT.keep + 17 * n);
    bytes[AT.mark + 17 * n] = 0x80;
  }
}

/** Each word four times, for four messages. */
function writeSplats(buffer: ArrayBuffer, at: number, words: Int32Array): void {
  const view = new Int32Array(buffer, at, 4 * words.length);
  for (const [i, word] of words.entries()) view.fill(word, 4 * i, 4 * i + 4);
}
