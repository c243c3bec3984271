import { ParseError, type ParseRule } from '../errors.ts';

/** Tags of X.690, with class and constructed bit, as the identifier octet. */
export const TAG = {
  BOOLEAN: 0x01,
  INTEGER: 0x02,
  BIT_STRING: 0x03,
  OCTET_STRING: 0x04,
  NULL: 0x05,
  OID: 0x06,
  ENUMERATED: 0x0a,
  UTF8_STRING: 0x0c,
  NUMERIC_STRING: 0x12,
  PRINTABLE_STRING: 0x13,
  T61_STRING: 0x14,
  IA5_STRING: 0x16,
  UTC_TIME: 0x17,
  GENERALIZED_TIME: 0x18,
  VISIBLE_STRING: 0x1a,
  UNIVERSAL_STRING: 0x1c,
  BMP_STRING: 0x1e,
  SEQUENCE: 0x30,
  SET: 0x31,
} as const;

/** Identifier octet of an implicit, primitive, context-specific tag. */
export const implicitTag = (number: number): number => 0x80 | number;
/** Identifier octet of an explicit or constructed context-specific tag. */
export const explicitTag = (number: number): number => 0xa0 | number;

/** Departures from DER or RFC 5280 that manufacturers are known for, accepted by name in lenient mode only. */
export type EncodingFault =
  | 'oaep-spki' // an RSA key marked id-RSAES-OAEP
  | 'trailing-padding' // filler bytes behind the certificate, as NV indices have
  | 'non-minimal-serial' // a serial number with needless leading bytes
  | 'serial-not-positive' // a serial number that is zero or negative
  | 'long-serial' // a serial number of 21 bytes, its 20 bytes and the zero that keeps it positive
  | 'set-order' // the elements of a SET OF are not sorted
  | 'explicit-default' // a DEFAULT value that is written out
  | 'trailing-zero-bits' // a list of named bits that ends in zeros
  | 'time-form'; // GeneralizedTime before 2050

export type DerMode = 'strict' | 'lenient';

/** Limits on the work one input can ask for. */
export interface DerLimits {
  readonly depth: number;
  readonly nodes: number;
}

const DEFAULT_LIMITS: DerLimits = { depth: 24, nodes: 10_000 };
const MAX_LENGTH_BYTES = 4;

/** What all readers of one input share: the mode, the work done so far and the faults that were tolerated. */
class DerContext {
  readonly mode: DerMode;
  readonly limits: DerLimits;
  readonly faults = new Set<EncodingFault>();
  nodes = 0;

  constructor(mode: DerMode, limits: DerLimits) {
    this.mode = mode;
    this.limits = limits;
  }
}

/** One tag, length and value. Views into the input, not copies. */
export interface DerElement {
  readonly tag: number;
  /** Identifier, length and contents octets. */
  readonly raw: Uint8Array;
  readonly value: Uint8Array;
  /** Of the contents octets, from the start of the outermost structure. */
  readonly offset: number;
}

/**
 * A bounded cursor over DER (X.690, chapters 8 and 10) that somebody else chose: definite minimal lengths, low tag
 * numbers, bounded depth and number of elements.
 *
 * Lenient mode forgives only the faults that the field's reader names, and notes each in `faults`.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #path: string;
  readonly #base: number;
  readonly #depth: number;
  readonly #context: DerContext;
  #at = 0;

  private constructor(bytes: Uint8Array, path: string, base: number, depth: number, context: DerContext) {
    this.#bytes = bytes;
    this.#path = path;
    this.#base = base;
    this.#depth = depth;
    this.#context = context;
  }

  /** @param path name of the structure, first part of every field name in an error */
  static over(
    bytes: Uint8Array,
    path: string,
    mode: DerMode = 'strict',
    limits: Partial<DerLimits> = {},
  ): DerReader {
    return new DerReader(bytes, path, 0, 0, new DerContext(mode, { ...DEFAULT_LIMITS, ...limits }));
  }

  /** Tolerated so far, in this whole input. */
  get faults(): readonly EncodingFault[] {
    return [...this.#context.faults];
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** Whether the next element has this identifier octet. */
  peek(tag: number): boolean {
    return this.#bytes[this.#at] === tag;
  }

  /** The next element, whatever it is. */
  any(field: string): DerElement {
    const start = this.#at;
    if (++this.#context.nodes > this.#context.limits.nodes) this.fail(field, 'holds too many elements');
    const tag = this.#octet(field);
    if ((tag & 0x1f) === 0x1f) this.fail(field, 'has a tag number over 30', 'bytes.known');
    const length = this.#length(field);
    if (length > this.remaining) this.fail(field, `needs ${length} bytes, ${this.remaining} left`);
    const from = this.#at;
    this.#at += length;
    return {
      tag,
      raw: this.#bytes.subarray(start, this.#at),
      value: this.#bytes.subarray(from, this.#at),
      offset: this.#base + from,
    };
  }

  /** The next element, which must have this identifier octet. */
  element(tag: number, field: string): DerElement {
    if (!this.peek(tag)) this.#unexpected(tag, field);
    return this.any(field);
  }

  optional(tag: number, field: string): DerElement | undefined {
    return this.peek(tag) ? this.any(field) : undefined;
  }

  /** A reader over the contents of the next element. Call `end()` on it. */
  nested(tag: number, field: string): DerReader {
    return this.within(this.element(tag, field), field);
  }

  optionalNested(tag: number, field: string): DerReader | undefined {
    return this.peek(tag) ? this.nested(tag, field) : undefined;
  }

  sequence(field: string): DerReader {
    return this.nested(TAG.SEQUENCE, field);
  }

  /** A reader over the contents of an element that was read before. */
  within(element: DerElement, field: string): DerReader {
    const depth = this.#depth + 1;
    if (depth > this.#context.limits.depth) this.fail(field, 'is nested too deeply');
    return new DerReader(element.value, `${this.#path}.${field}`, element.offset, depth, this.#context);
  }

  /** Fails unless every byte was read. */
  end(): void {
    if (!this.done) this.fail('end', `${this.remaining} trailing bytes`);
  }

  /** Accepts what is left as filler behind the structure, in lenient mode. */
  padding(): void {
    if (!this.done) this.tolerate('trailing-padding', 'end', `${this.remaining} trailing bytes`);
  }

  /** Notes a fault in lenient mode. @throws {ParseError} in strict mode */
  tolerate(fault: EncodingFault, field: string, problem: string): void {
    if (this.#context.mode === 'strict') this.fail(field, problem);
    this.#context.faults.add(fault);
  }

  /** @throws {ParseError} always, at the current offset */
  fail(field: string, problem: string, rule?: ParseRule): never {
    throw new ParseError(`${this.#path}.${field}`, this.#base + this.#at, problem, rule);
  }

  #unexpected(tag: number, field: string): never {
    const found = this.#bytes[this.#at];
    if (found === undefined) this.fail(field, 'is missing');
    this.fail(field, `has tag 0x${found.toString(16)}, 0x${tag.toString(16)} expected`, 'bytes.known');
  }

  #octet(field: string): number {
    const octet = this.#bytes[this.#at];
    if (octet === undefined) this.fail(field, 'is cut off');
    this.#at++;
    return octet;
  }

  #length(field: string): number {
    const first = this.#octet(field);
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0) this.fail(field, 'has an indefinite length');
    if (count > MAX_LENGTH_BYTES) this.fail(field, `has a length of ${count} bytes`);
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#octet(field);
    // One length has one encoding, so that one structure has one (X.690, 10.1).
    if (length < 0x80 || length < 256 ** (count - 1)) this.fail(field, 'has a length that is not minimal');
    return length;
  }
}
