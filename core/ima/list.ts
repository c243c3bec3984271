import type { HashName } from '../tpm/constants.ts';
import { IMA_HASH_ALGOS } from './hash-algo.ts';
import type { ImaTemplate } from './template.ts';

/** In `digestAlgo`: the entry has no digest, or one whose algorithm is not said. */
export const NO_ALGO = 0xff;
/** Bits of `flags`. */
export const IMA_FLAG = { VIOLATION: 1, VERITY: 2 } as const;

/** One number per entry and thing to know about it. Places are byte offsets into `ImaList.bytes`. */
export interface ImaColumns {
  /** Where the entry starts; one element more than entries: the end of the last. */
  readonly start: Uint32Array;
  /** Where its template data starts: up to the start of the next entry. */
  readonly data: Uint32Array;
  /** Where the digest starts, without its algorithm; 0 for none. */
  readonly digest: Uint32Array;
  /** Where the name starts. */
  readonly name: Uint32Array;
  /** Bytes of the name, without NUL. */
  readonly nameLength: Uint32Array;
  /** Index into `ImaList.templates`. */
  readonly template: Uint8Array;
  /** Id of the digest's algorithm (hash-algo.ts), or NO_ALGO. */
  readonly digestAlgo: Uint8Array;
  /** Bits of IMA_FLAG. */
  readonly flags: Uint8Array;
}

/**
 * A measurement list in the kernel's binary form, indexed. It keeps no object per entry; see `imaEntry` (entry.ts) for
 * one to look at. Nothing here is proven: replay.ts says which entries a quote covers.
 */
export interface ImaList {
  readonly bytes: Uint8Array;
  readonly length: number;
  /** PCR that every entry names, unless the list was read with those of `any`. */
  readonly pcr: number | 'any';
  /** Hash of the template hashes in the list: sha1 in all kernels' default files. */
  readonly hash: HashName;
  readonly templates: readonly ImaTemplate[];
  readonly columns: ImaColumns;
}

/** Columns that grow while a list is read. */
export class ColumnBuilder {
  #capacity: number;
  #columns: ImaColumns;
  length = 0;

  constructor(capacity: number) {
    this.#capacity = Math.max(capacity, 16);
    this.#columns = allocate(this.#capacity);
  }

  /** Columns with room for at least one entry more. */
  room(): ImaColumns {
    if (this.length < this.#capacity) return this.#columns;
    this.#capacity *= 2;
    const grown = allocate(this.#capacity);
    for (const key of KEYS) grown[key].set(this.#columns[key]);
    this.#columns = grown;
    return grown;
  }

  /** The filled part. @param end byte offset behind the last entry */
  finish(end: number): ImaColumns {
    const { start, data, digest, name, nameLength, template, digestAlgo, flags } = this.#columns;
    const count = this.length;
    start[count] = end;
    return {
      start: start.subarray(0, count + 1),
      data: data.subarray(0, count),
      digest: digest.subarray(0, count),
      name: name.subarray(0, count),
      nameLength: nameLength.subarray(0, count),
      template: template.subarray(0, count),
      digestAlgo: digestAlgo.subarray(0, count),
      flags: flags.subarray(0, count),
    };
  }
}

const KEYS = ['start', 'data', 'digest', 'name', 'nameLength', 'template', 'digestAlgo', 'flags'] as const;

function allocate(capacity: number): ImaColumns {
  return {
    start: new Uint32Array(capacity + 1),
    data: new Uint32Array(capacity),
    digest: new Uint32Array(capacity),
    name: new Uint32Array(capacity),
    nameLength: new Uint32Array(capacity),
    template: new Uint8Array(capacity),
    digestAlgo: new Uint8Array(capacity),
    flags: new Uint8Array(capacity),
  };
}

/** Bytes of the digest of entry `index`; 20 where no algorithm is said (the `d` field). */
export function imaDigestSize(list: ImaList, index: number): number {
  const algo = IMA_HASH_ALGOS[list.columns.digestAlgo[index] ?? NO_ALGO];
  return algo?.sizeBytes ?? 20;
}
