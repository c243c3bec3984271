/** Entries that the kernel takes at once. */
export const CHUNK_ENTRIES = 4096;
/** Most 64-byte blocks of a message that it hashes; longer ones are rare. */
export const MAX_BLOCKS = 8;
/** Bytes of a list that it takes at once: more than one entry can have. */
export const CHUNK_BYTES = 1024 * 1024 + 64 * 1024;
export const LANES = 4;
const PAGE_BYTES = 65_536;

let end = 0;
function reserve(sizeBytes: number): number {
  const start = end;
  end = Math.ceil((start + sizeBytes) / 64) * 64;
  return start;
}

/** Where things are in the kernel's memory. */
export const AT = {
  /** K of SHA-256, each four times. */
  k256: reserve(64 * 16),
  /** K of SHA-1, each four times. */
  k1: reserve(4 * 16),
  /** 16 masks: n bytes of ones, then zeros. */
  keep: reserve(16 * 16),
  /** 16 vectors: the bit behind a message whose last n bytes are in it. */
  mark: reserve(16 * 16),
  /** Initial values, each four times, of SHA-256 and SHA-1. */
  initial: reserve(13 * 16),
  /** Eight words of SHA-256 and five of SHA-1, of four messages each. */
  state: reserve(13 * 16),
  /** 16 words of a block of four messages. */
  words: reserve(16 * 16),
  /** Four padded messages. */
  slots: reserve(LANES * MAX_BLOCKS * 64),
  pcr: reserve(32),
  expected: reserve(32),
  /** Numbers of the entries to hash, by length, a multiple of four for each length. */
  order: reserve(4 * (CHUNK_ENTRIES + LANES * MAX_BLOCKS)),
  /** Columns of the list. */
  data: reserve(4 * CHUNK_ENTRIES),
  start: reserve(4 * (CHUNK_ENTRIES + 1)),
  /** Eight words for each entry: what to extend with. */
  digests: reserve(32 * CHUNK_ENTRIES),
  /** A byte for each entry: whether its template hash is wrong. */
  wrong: reserve(CHUNK_ENTRIES),
  /** Bytes of the list, and room to read a vector behind them. */
  list: reserve(CHUNK_BYTES + 64),
} as const;

export const MEMORY_PAGES = Math.ceil(end / PAGE_BYTES);
export const SLOT_BYTES = MAX_BLOCKS * 64;
