import { beWord, loadTail } from './sha256.ts';

/** SHA-1 (FIPS 180-4, 6.1) over parts of a buffer without allocating, as Sha256 is. Proves nothing by itself. */
export class Sha1 {
  /** The last result, most significant byte first. */
  readonly words = new Int32Array(5);
  readonly #schedule = new Int32Array(80);
  readonly #pair = new Uint8Array(40);

  /** Hashes `bytes` from `start` to `end` into `words`. */
  digest(bytes: Uint8Array, start: number, end: number): void {
    const w = this.#schedule;
    this.words.set(SHA1_INITIAL);
    let at = start;
    for (; end - at >= 64; at += 64) {
      for (let i = 0, from = at; i < 16; i++, from += 4) w[i] = beWord(bytes, from);
      compress(this.words, w);
    }
    if (loadTail(w, bytes, at, end)) {
      compress(this.words, w);
      w.fill(0, 0, 16);
    }
    w[14] = Math.floor((end - start) / 0x20000000);
    w[15] = (end - start) << 3;
    compress(this.words, w);
  }

  /** Hashes two values of 5 words each, as a PCR is extended. The result may go where the input was. */
  pair(left: Int32Array, right: Int32Array, out: Int32Array): void {
    const view = new DataView(this.#pair.buffer);
    for (let i = 0; i < 5; i++) {
      view.setInt32(4 * i, left[i] ?? 0);
      view.setInt32(20 + 4 * i, right[i] ?? 0);
    }
    this.digest(this.#pair, 0, 40);
    out.set(this.words);
  }
}

/** H(0) (FIPS 180-4, 5.3.1). */
export const SHA1_INITIAL = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);

/** Words 16 to 79 of the message schedule. */
function expand(w: Int32Array): void {
  for (let i = 16; i < 80; i++) {
    const t = (w[i - 3] ?? 0) ^ (w[i - 8] ?? 0) ^ (w[i - 14] ?? 0) ^ (w[i - 16] ?? 0);
    w[i] = (t << 1) | (t >>> 31);
  }
}

function compress(state: Int32Array, w: Int32Array): void {
  expand(w);
  let a = state[0] ?? 0;
  let b = state[1] ?? 0;
  let c = state[2] ?? 0;
  let d = state[3] ?? 0;
  let e = state[4] ?? 0;
  let i = 0;
  // Four loops instead of one that chooses: this is where a replay spends its time.
  for (; i < 20; i++) {
    const t = (((a << 5) | (a >>> 27)) + (d ^ (b & (c ^ d))) + e + 0x5a827999 + (w[i] ?? 0)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = t;
  }
  for (; i < 40; i++) {
    const t = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e + 0x6ed9eba1 + (w[i] ?? 0)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = t;
  }
  for (; i < 60; i++) {
    const t = (((a << 5) | (a >>> 27)) + ((b & c) | (d & (b | c))) + e - 0x70e44324 + (w[i] ?? 0)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = t;
  }
  for (; i < 80; i++) {
    const t = (((a << 5) | (a >>> 27)) + (b ^ c ^ d) + e - 0x359d3e2a + (w[i] ?? 0)) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = t;
  }
  state[0] = (state[0] ?? 0) + a;
  state[1] = (state[1] ?? 0) + b;
  state[2] = (state[2] ?? 0) + c;
  state[3] = (state[3] ?? 0) + d;
  state[4] = (state[4] ?? 0) + e;
}
