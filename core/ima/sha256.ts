/**
 * SHA-256 (FIPS 180-4, 6.2) over parts of a buffer without allocating: a list has hundreds of thousands of short
 * messages, and a call into node:crypto costs more than they do. State is words, most significant byte first.
 */
export class Sha256 {
  /** The last result. */
  readonly words = new Int32Array(8);
  readonly #schedule = new Int32Array(64);

  /** Hashes `bytes` from `start` to `end` into `words`. */
  digest(bytes: Uint8Array, start: number, end: number): void {
    const w = this.#schedule;
    this.words.set(SHA256_INITIAL);
    let at = start;
    for (; end - at >= 64; at += 64) {
      for (let i = 0, from = at; i < 16; i++, from += 4) w[i] = beWord(bytes, from);
      expand(w);
      compress(this.words, w);
    }
    if (loadTail(w, bytes, at, end)) {
      expand(w);
      compress(this.words, w);
      w.fill(0, 0, 16);
    }
    w[14] = Math.floor((end - start) / 0x20000000);
    w[15] = (end - start) << 3;
    expand(w);
    compress(this.words, w);
  }

  /** Hashes two values of 8 words each, as a PCR is extended. The result may go where the input was. */
  pair(left: Int32Array, right: Int32Array, out: Int32Array): void {
    const w = this.#schedule;
    w.set(left);
    w.set(right, 8);
    expand(w);
    out.set(SHA256_INITIAL);
    compress(out, w);
    compress(out, PAIR_PADDING);
  }
}

/** The word at `at`; the caller has checked that four bytes are there. */
export function beWord(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}

/**
 * Loads the last bytes of a message, fewer than 64, and the bit behind them into 16 words. True when its length does
 * not fit into the same block.
 */
export function loadTail(w: Int32Array, bytes: Uint8Array, at: number, end: number): boolean {
  let i = 0;
  let from = at;
  for (; end - from >= 4; from += 4) w[i++] = beWord(bytes, from);
  let last = 0x80 << (24 - 8 * (end - from));
  for (let shift = 24; from < end; from++, shift -= 8) last |= (bytes[from] ?? 0) << shift;
  w[i++] = last;
  w.fill(0, i, 16);
  return i > 14;
}

/** Words 16 to 63 of the message schedule, with the round constants added to all. */
function expand(w: Int32Array): void {
  for (let i = 16; i < 64; i++) {
    const w15 = w[i - 15] ?? 0;
    const w2 = w[i - 2] ?? 0;
    const s0 = ((w15 >>> 7) | (w15 << 25)) ^ ((w15 >>> 18) | (w15 << 14)) ^ (w15 >>> 3);
    const s1 = ((w2 >>> 17) | (w2 << 15)) ^ ((w2 >>> 19) | (w2 << 13)) ^ (w2 >>> 10);
    w[i] = ((w[i - 16] ?? 0) + s0 + (w[i - 7] ?? 0) + s1) | 0;
  }
}

function compress(state: Int32Array, w: Int32Array): void {
  let a = state[0] ?? 0;
  let b = state[1] ?? 0;
  let c = state[2] ?? 0;
  let d = state[3] ?? 0;
  let e = state[4] ?? 0;
  let f = state[5] ?? 0;
  let g = state[6] ?? 0;
  let h = state[7] ?? 0;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + (g ^ (e & (f ^ g))) + (SHA256_K[i] ?? 0) + (w[i] ?? 0)) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (c & (a ^ b)))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] = (state[0] ?? 0) + a;
  state[1] = (state[1] ?? 0) + b;
  state[2] = (state[2] ?? 0) + c;
  state[3] = (state[3] ?? 0) + d;
  state[4] = (state[4] ?? 0) + e;
  state[5] = (state[5] ?? 0) + f;
  state[6] = (state[6] ?? 0) + g;
  state[7] = (state[7] ?? 0) + h;
}

/** The first 32 bits of the fractional part of a root of each of the first primes (FIPS 180-4, 4.2.2 and 5.3.3). */
function rootsOfPrimes(count: number, root: (prime: number) => number): Int32Array {
  const words = new Int32Array(count);
  for (let prime = 2, found = 0; found < count; prime++) {
    if (!isPrime(prime)) continue;
    const value = root(prime);
    words[found++] = Math.floor((value - Math.floor(value)) * 2 ** 32);
  }
  return words;
}

function isPrime(n: number): boolean {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
}

/** H(0) (FIPS 180-4, 5.3.3). */
export const SHA256_INITIAL = rootsOfPrimes(8, Math.sqrt);
/** K (FIPS 180-4, 4.2.2). */
export const SHA256_K = rootsOfPrimes(64, Math.cbrt);

/** Message schedule of the block behind 64 bytes of message, which is always the same. */
export const PAIR_PADDING = new Int32Array(64);
PAIR_PADDING[0] = 0x80000000 | 0;
PAIR_PADDING[15] = 512;
expand(PAIR_PADDING);
