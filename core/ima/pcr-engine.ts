import { hash as nodeHash } from 'node:crypto';
import { digestSize, type HashName } from '../tpm/constants.ts';
import { Sha1 } from './sha1.ts';
import { beWord, Sha256 } from './sha256.ts';

/** One bank's PCR 10 while a list is replayed: hashes template data and extends. */
export interface PcrEngine {
  readonly bank: HashName;
  /** The digest to extend with next becomes the hash of `bytes` from `start` to `end`. */
  digest(bytes: Uint8Array, start: number, end: number): void;
  /** It becomes all ones, as for a violation. */
  ones(): void;
  /** It becomes a SHA-1 with zeros behind it, as Linux before 5.8 extends banks that are not SHA-1. */
  padded(sha1: Int32Array): void;
  /** Whether it is what stands at `at`. */
  digestIs(bytes: Uint8Array, at: number): boolean;
  extend(): void;
  /** Whether the PCR has the value that was set with `expect`. */
  reached(): boolean;
  expect(pcr: Uint8Array): void;
  pcr(): Uint8Array;
}

/** @param start the PCR's value to go on from */
export function pcrEngine(bank: HashName, start: Uint8Array): PcrEngine {
  if (start.length !== digestSize(bank)) {
    throw new RangeError(`${bank} has ${digestSize(bank)} bytes, not ${start.length}`);
  }
  if (bank === 'sha1') return new WordEngine(bank, new Sha1(), start);
  return bank === 'sha256' ? new WordEngine(bank, new Sha256(), start) : new ByteEngine(bank, start);
}

interface WordHash {
  readonly words: Int32Array;
  digest(bytes: Uint8Array, start: number, end: number): void;
  pair(left: Int32Array, right: Int32Array, out: Int32Array): void;
}

/** For the banks that every list is replayed on: nothing is allocated for an entry. */
class WordEngine implements PcrEngine {
  readonly bank: HashName;
  readonly #hash: WordHash;
  readonly #pcr: Int32Array;
  readonly #expected: Int32Array;
  readonly #digest: Int32Array;

  constructor(bank: HashName, hash: WordHash, start: Uint8Array) {
    this.bank = bank;
    this.#hash = hash;
    this.#digest = new Int32Array(hash.words.length);
    this.#expected = new Int32Array(hash.words.length);
    this.#pcr = toWords(start);
  }

  digest(bytes: Uint8Array, start: number, end: number): void {
    this.#hash.digest(bytes, start, end);
    for (let i = 0; i < this.#digest.length; i++) this.#digest[i] = this.#hash.words[i] ?? 0;
  }

  ones(): void {
    this.#digest.fill(-1);
  }

  padded(sha1: Int32Array): void {
    this.#digest.fill(0);
    this.#digest.set(sha1);
  }

  digestIs(bytes: Uint8Array, at: number): boolean {
    for (let i = 0; i < this.#digest.length; i++) {
      if (this.#digest[i] !== beWord(bytes, at + 4 * i)) return false;
    }
    return true;
  }

  extend(): void {
    this.#hash.pair(this.#pcr, this.#digest, this.#pcr);
  }

  expect(pcr: Uint8Array): void {
    this.#expected.set(toWords(pcr));
  }

  reached(): boolean {
    for (let i = 0; i < this.#pcr.length; i++) if (this.#pcr[i] !== this.#expected[i]) return false;
    return true;
  }

  pcr(): Uint8Array {
    const out = new Uint8Array(4 * this.#pcr.length);
    const view = new DataView(out.buffer);
    for (const [i, word] of this.#pcr.entries()) view.setInt32(4 * i, word);
    return out;
  }
}

/** For SHA-384 and SHA-512, whose words of 64 bits node:crypto is better at. */
class ByteEngine implements PcrEngine {
  readonly bank: HashName;
  readonly #both: Uint8Array;
  readonly #size: number;
  #expected = new Uint8Array();

  constructor(bank: HashName, start: Uint8Array) {
    this.bank = bank;
    this.#size = start.length;
    this.#both = new Uint8Array(2 * start.length);
    this.#both.set(start);
  }

  digest(bytes: Uint8Array, start: number, end: number): void {
    this.#both.set(nodeHash(this.bank, bytes.subarray(start, end), 'buffer'), this.#size);
  }

  ones(): void {
    this.#both.fill(0xff, this.#size);
  }

  padded(sha1: Int32Array): void {
    this.#both.fill(0, this.#size);
    const view = new DataView(this.#both.buffer, this.#size);
    for (const [i, word] of sha1.entries()) view.setInt32(4 * i, word);
  }

  digestIs(bytes: Uint8Array, at: number): boolean {
    return Buffer.compare(this.#both.subarray(this.#size), bytes.subarray(at, at + this.#size)) === 0;
  }

  extend(): void {
    this.#both.set(nodeHash(this.bank, this.#both, 'buffer'));
  }

  expect(pcr: Uint8Array): void {
    this.#expected = Uint8Array.from(pcr);
  }

  reached(): boolean {
    return Buffer.compare(this.#both.subarray(0, this.#size), this.#expected) === 0;
  }

  pcr(): Uint8Array {
    return this.#both.slice(0, this.#size);
  }
}

function toWords(bytes: Uint8Array): Int32Array {
  return Int32Array.from({ length: bytes.length / 4 }, (_, i) => beWord(bytes, 4 * i));
}
