/**
 * A small assembler for WebAssembly with SIMD (WebAssembly Core Specification 2.0, 5): expressions are bytes that leave
 * a value on the stack, statements are bytes that leave none. It knows the instructions that the kernel needs. Code is
 * a tree until a function is finished, or building it would copy it again and again.
 */
export type Code = readonly (number | Code)[];

const TYPE = { i32: 0x7f, v128: 0x7b } as const;
export type ValueType = keyof typeof TYPE;

/** A local variable or parameter of a function. */
export interface Local {
  readonly get: Code;
  set(value: Code): Code;
}

/** Statements or expressions one behind the other. */
export function seq(...parts: readonly Code[]): Code {
  return parts;
}

function flat(code: Code): number[] {
  const out: number[] = [];
  const visit = (part: Code): void => {
    for (const item of part) {
      if (typeof item === 'number') out.push(item);
      else visit(item);
    }
  };
  visit(code);
  return out;
}

function unsigned(value: number): Code {
  const out: number[] = [];
  let rest = value;
  do {
    out.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest !== 0);
  return out;
}

function signed(value: number): Code {
  const out: number[] = [];
  let rest = value | 0;
  for (;;) {
    const byte = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0);
    out.push(done ? byte : byte | 0x80);
    if (done) return out;
  }
}

const binary =
  (opcode: number) =>
  (left: Code, right: Code): Code => [left, right, opcode];
const simd = (opcode: number): Code => [0xfd, ...unsigned(opcode)];
const simdBinary =
  (opcode: number) =>
  (left: Code, right: Code): Code => [left, right, simd(opcode)];
// Alignment is only a hint; nothing here is known to be aligned.
const memory = (offset: number): Code => [0, ...unsigned(offset)];

/** Instructions on 32-bit numbers. Loads and stores add a constant offset to the address. */
export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  add: binary(0x6a),
  sub: binary(0x6b),
  and: binary(0x71),
  or: binary(0x72),
  xor: binary(0x73),
  shl: binary(0x74),
  shrU: binary(0x76),
  rotr: binary(0x78),
  eq: binary(0x46),
  ltU: binary(0x49),
  load: (address: Code, offset = 0): Code => [address, 0x28, memory(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [address, value, 0x36, memory(offset)],
  store8: (address: Code, value: Code, offset = 0): Code => [address, value, 0x3a, memory(offset)],
} as const;

/** Instructions on vectors of 128 bits; those named like i32's work on four numbers at once. */
export const v128 = {
  load: (address: Code, offset = 0): Code => [address, simd(0x00), memory(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [address, value, simd(0x0b), memory(offset)],
  zero: [simd(0x0c), Array<number>(16).fill(0)] as Code,
  /** 16 bytes out of the 32 of both, by number. */
  shuffle: (left: Code, right: Code, bytes: readonly number[]): Code => [left, right, simd(0x0d), bytes],
  and: simdBinary(0x4e),
  or: simdBinary(0x50),
  xor: simdBinary(0x51),
  add: simdBinary(0xae),
  ne: simdBinary(0x38),
  shl: (value: Code, bits: number): Code => [value, i32.const(bits), simd(0xab)],
  shrU: (value: Code, bits: number): Code => [value, i32.const(bits), simd(0xad)],
  /** One bit for each of the four numbers: its highest. */
  bitmask: (value: Code): Code => [value, simd(0xa4)],
} as const;

/** Repeats `body` while `condition` behind it holds. */
export function doWhile(body: Code, condition: Code): Code {
  return [0x03, 0x40, body, condition, 0x0d, 0, 0x0b];
}

export function ifThen(condition: Code, body: Code): Code {
  return [condition, 0x04, 0x40, body, 0x0b];
}

/** Leaves the function with `value`, or with nothing where the function returns nothing. */
export function leave(value: Code = []): Code {
  return [value, 0x0f];
}

/** A function while it is written. */
export class FunctionBuilder {
  readonly params: readonly Local[];
  readonly #paramTypes: readonly ValueType[];
  readonly #locals: ValueType[] = [];

  constructor(paramTypes: readonly ValueType[]) {
    this.#paramTypes = paramTypes;
    this.params = paramTypes.map((_, index) => localAt(index));
  }

  /** A new local variable, zero at first. */
  local(type: ValueType): Local {
    return localAt(this.#paramTypes.length + this.#locals.push(type) - 1);
  }

  locals(type: ValueType, count: number): readonly Local[] {
    return Array.from({ length: count }, () => this.local(type));
  }

  /** @param result an expression for the value at the end, for a function that returns one */
  finish(body: Code, result?: Code): WasmFunction {
    const locals = this.#locals.map((type) => [1, TYPE[type]]);
    const code = flat([vector(locals), body, result ?? [], 0x0b]);
    const params = vector(this.#paramTypes.map((type) => [TYPE[type]]));
    const type = [0x60, params, result === undefined ? [0] : [1, TYPE.i32]];
    return { type, code: [unsigned(code.length), code] };
  }
}

export interface WasmFunction {
  readonly type: Code;
  readonly code: Code;
}

/** Calls function `index` of the module. */
export function call(index: number, ...args: readonly Code[]): Code {
  return [args, 0x10, unsigned(index)];
}

/** A module with functions, some of them exported by name, and a memory that can grow, exported as `memory`. */
export function assemble(
  functions: readonly WasmFunction[],
  exported: Readonly<Record<string, number>>,
  pages: { readonly initial: number; readonly most: number },
): Uint8Array<ArrayBuffer> {
  const exports = Object.entries(exported).map(([name, index]) => [text(name), 0, unsigned(index)]);
  const code = [
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    section(1, vector(functions.map(({ type }) => type))),
    section(3, vector(functions.map((_, index) => unsigned(index)))),
    section(5, vector([[1, unsigned(pages.initial), unsigned(pages.most)]])),
    section(7, vector([...exports, [text('memory'), 2, 0]])),
    section(10, vector(functions.map(({ code }) => code))),
  ];
  return Uint8Array.from(flat(code));
}

function localAt(index: number): Local {
  return {
    get: [0x20, unsigned(index)],
    set: (value) => [value, 0x21, unsigned(index)],
  };
}

function section(id: number, content: Code): Code {
  const bytes = flat(content);
  return [id, unsigned(bytes.length), bytes];
}

function vector(items: readonly Code[]): Code {
  return [unsigned(items.length), items];
}

function text(value: string): Code {
  return vector([...Buffer.from(value)].map((byte) => [byte]));
}
