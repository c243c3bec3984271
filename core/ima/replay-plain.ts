import { digestSize, type HashName } from '../tpm/constants.ts';
import { legacyHashedData } from './fields.ts';
import type { ImaRecall } from './kernel/memo.ts';
import { IMA_FLAG, type ImaList } from './list.ts';
import { type PcrEngine, pcrEngine } from './pcr-engine.ts';
import { Sha1 } from './sha1.ts';

/** How far the list of one boot is proven: entries so far and PCR 10 behind them, for each bank that is replayed. */
export interface ImaState {
  readonly entries: number;
  readonly pcrs: ReadonlyMap<HashName, Uint8Array>;
}

/** What a kernel extends a bank with. */
export type ImaExtendRule =
  | 'template-hash' // the bank's hash of the template data
  | 'padded-sha1'; // Linux before 5.8, or without the bank's algorithm: the SHA-1 and zeros, no stronger than SHA-1

/** What was found when a list was compared with a quote. */
export interface ImaReplay {
  /** How many entries of the list the quote covers; `undefined` when it covers no number of them. */
  readonly covered: number | undefined;
  /** Entries of the list behind those: not proven, to be shown again under the next quote. */
  readonly heldBack: number;
  /** After the covered entries; where nothing is covered, after all (so that a replayed value can be shown). */
  readonly state: ImaState;
  /** Entries (of those replayed) whose template hash in the list is not that of their data: the list was changed. */
  readonly wrongHashes: number;
  /** Index in the list of the first of them. */
  readonly firstWrongHash: number | undefined;
  /** What a memo knew of the entries, where it was used. */
  readonly recall?: ImaRecall;
}

/** The state before the first entry. PCR 10 is zero at reset; it is not after kexec, whose list starts again. */
export function imaStart(banks: Iterable<HashName>): ImaState {
  return { entries: 0, pcrs: new Map([...banks].map((bank) => [bank, new Uint8Array(digestSize(bank))])) };
}

/** replayIma (replay.ts) in plain TypeScript, for every bank: what the kernel's answers are measured against. */
export function replayImaPlain(
  list: ImaList,
  from: ImaState,
  quoted: ReadonlyMap<HashName, Uint8Array>,
  rule: ImaExtendRule = 'template-hash',
): ImaReplay {
  const engines = enginesOf(from, quoted);
  const replayer = new Replayer(list, engines, rule);
  const covered = replayer.run();
  return {
    covered,
    heldBack: list.length - (covered ?? 0),
    state: {
      entries: from.entries + (covered ?? list.length),
      pcrs: new Map(engines.map((engine) => [engine.bank, engine.pcr()])),
    },
    wrongHashes: replayer.wrongHashes,
    firstWrongHash: replayer.firstWrongHash,
  };
}

function enginesOf(from: ImaState, quoted: ReadonlyMap<HashName, Uint8Array>): readonly PcrEngine[] {
  if (quoted.size === 0) throw new RangeError('at least one bank must be quoted');
  if (quoted.size !== from.pcrs.size) throw new RangeError('the state is of other banks than the quote');
  return [...from.pcrs].map(([bank, start]) => {
    const expected = quoted.get(bank);
    if (expected?.length !== start.length) throw new RangeError(`no value of ${bank} is quoted`);
    const engine = pcrEngine(bank, start);
    engine.expect(expected);
    return engine;
  });
}

const SHA1_ONES = new Int32Array(5).fill(-1);

class Replayer {
  wrongHashes = 0;
  firstWrongHash: number | undefined;
  readonly #list: ImaList;
  readonly #engines: readonly PcrEngine[];
  /** Checks the template hashes of the list; the bank's own engine where it has one. */
  readonly #checker: PcrEngine;
  readonly #rule: ImaExtendRule;
  readonly #sha1 = new Sha1();

  constructor(list: ImaList, engines: readonly PcrEngine[], rule: ImaExtendRule) {
    this.#list = list;
    this.#engines = engines;
    this.#rule = rule;
    this.#checker =
      engines.find(({ bank }) => bank === list.hash) ??
      pcrEngine(list.hash, new Uint8Array(digestSize(list.hash)));
  }

  /** Extends entry by entry until all banks have the quoted value. */
  run(): number | undefined {
    const { length } = this.#list;
    for (let i = 0; i < length; i++) {
      if (this.#reached()) return i;
      this.#entry(i);
    }
    return this.#reached() ? length : undefined;
  }

  #reached(): boolean {
    for (const engine of this.#engines) if (!engine.reached()) return false;
    return true;
  }

  #entry(index: number): void {
    const { bytes, columns, templates } = this.#list;
    if (((columns.flags[index] ?? 0) & IMA_FLAG.VIOLATION) !== 0) {
      for (const engine of this.#engines) {
        if (this.#rule === 'padded-sha1') engine.padded(SHA1_ONES);
        else engine.ones();
        engine.extend();
      }
      return;
    }
    const start = columns.data[index] ?? 0;
    const end = columns.start[index + 1] ?? 0;
    const legacy = templates[columns.template[index] ?? 0]?.legacy === true;
    if (!legacy) {
      this.#hash(index, bytes, start, end);
      return;
    }
    const data = legacyHashedData(this.#list, index);
    this.#hash(index, data, 0, data.length);
  }

  #hash(index: number, data: Uint8Array, start: number, end: number): void {
    const { bytes, columns } = this.#list;
    this.#checker.digest(data, start, end);
    if (!this.#checker.digestIs(bytes, (columns.start[index] ?? 0) + 4)) {
      this.wrongHashes++;
      this.firstWrongHash ??= index;
    }
    const padded = this.#rule === 'padded-sha1';
    if (padded) this.#sha1.digest(data, start, end);
    for (const engine of this.#engines) {
      if (padded) engine.padded(this.#sha1.words);
      else if (engine !== this.#checker) engine.digest(data, start, end);
      engine.extend();
    }
  }
}
