import { hash as digestOf } from 'node:crypto';
import { equalBytes } from '../../bytes/encoding.ts';
import type { HashName } from '../../tpm/constants.ts';
import { eventDigest, type LogEvent } from '../event.ts';
import type { DigestCover, UnverifiedReason } from './types.ts';

/** What of an event is looked at; `dataOffset` is for errors. */
export type CoveredEvent = Pick<LogEvent, 'digests' | 'data' | 'dataOffset'>;

/** One event and the digest that says what of it is proven. */
export class Coverage {
  readonly event: CoveredEvent;
  readonly #bank: HashName;
  readonly #digest: Uint8Array | undefined;

  constructor(event: CoveredEvent, bank: HashName) {
    this.event = event;
    this.#bank = bank;
    this.#digest = eventDigest(event, bank);
  }

  /** Whether the digest of the event is that of `bytes`. */
  of(bytes: Uint8Array): boolean {
    return this.#digest !== undefined && equalBytes(digestOf(this.#bank, bytes, 'buffer'), this.#digest);
  }

  /** The rule of those that the event's type allows which holds, in their order. */
  rule(...rules: readonly ('data' | 'data-without-nul')[]): DigestCover | undefined {
    const { data } = this.event;
    return rules.find((rule) => {
      if (rule === 'data') return this.of(data);
      return data.at(-1) === 0 && this.of(data.subarray(0, -1));
    });
  }

  /** What is said of content that is not proven, where the digest should have been of `expected`. */
  unverified(expected: DigestCover): {
    readonly verified: false;
    readonly covers: DigestCover;
    readonly why: UnverifiedReason;
  } {
    return { verified: false, covers: expected, why: this.#why(expected) };
  }

  #why(expected: DigestCover): UnverifiedReason {
    if (expected === 'none') return 'none';
    if (this.#digest === undefined) return 'no-digest';
    return expected === 'external' ? 'external' : 'mismatch';
  }
}
