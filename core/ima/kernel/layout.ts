/** Entries that the kernel takes at once. */
export const CHUNK_ENTRIES = 4096;
/** Most 64-byte blocks of a message that it hashes; longer ones are rare. */
export const MAX_BLOCKS = 8;
/** Bytes of a list that it takes at once: more than one entry can have. */
export const CHUNK_BYTES = 1024 * 1024 + 64 * 1024;
export const LANES = 4;
const PAGE_BYTES = 65_536;

/** Of the memo (memo.ts): places in its table, a power of two; entries that it keeps at most, which leaves half of them free. */
export const MEMO_SLOTS = 2 ** 19;
export const MEMO_ENTRIES = MEMO_SLOTS / 2;
/** How many places behind the first one are looked at: nodes choose where their entries go. */
export const MEMO_PROBES = 8;
/** Room for records, at 192 bytes for an entry of a usual path. */
const MEMO_BYTES = 192 * MEMO_ENTRIES;
/** A record of the memo: what its entry extends with, how long it is, how it was judged, and its bytes. */
export const RECORD = { digest: 0, length: 32, mark: 36, bytes: 48 } as const;

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
  /** A byte for each entry: what the memo says of it; 0 when it is not in there. */
  marks: reserve(CHUNK_ENTRIES),
} as const;

export const MEMORY_PAGES = Math.ceil(end / PAGE_BYTES);

/** Behind that, in a kernel with a memo. */
export const MEMO_AT = {
  /** For each place: where its record is, 0 for none, and the first word of its template hash. */
  table: reserve(8 * MEMO_SLOTS),
  records: reserve(MEMO_BYTES),
  end,
} as const;

export const MEMO_PAGES = Math.ceil(end / PAGE_BYTES) - MEMORY_PAGES;
export const SLOT_BYTES = MAX_BLOCKS * 64;
