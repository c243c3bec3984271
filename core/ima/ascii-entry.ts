import { failEntry } from './fields.ts';
import { type ImaField, type ImaTemplate, imaTemplate, MAX_TEMPLATE_NAME_BYTES } from './template.ts';

const SPACE = 0x20;
const COLON = 0x3a;
const ZERO = 0x30;
// `verity:streebog256:` is the longest.
const MAX_PREFIX_BYTES = 24;

/** Value of each lower-case hex digit, 0xff for other bytes: the kernel prints no other form. */
const HEX = new Uint8Array(256).fill(0xff);
for (const [value, digit] of [...'0123456789abcdef'].entries()) HEX[digit.charCodeAt(0)] = value;

/** Writes lines of an ASCII list as binary entries, one behind the other. */
export class AsciiEntryWriter {
  readonly #text: Uint8Array;
  readonly #pcr: number | 'any';
  readonly #hashBytes: number;
  #last: { readonly template: ImaTemplate; readonly start: number; readonly end: number } | undefined;
  #out: Uint8Array;
  #end = 0;
  // The line that is being read.
  #at = 0;
  #lineEnd = 0;
  #index = 0;

  constructor(text: Uint8Array, pcr: number | 'any', hashBytes: number) {
    this.#text = text;
    this.#pcr = pcr;
    this.#hashBytes = hashBytes;
    this.#out = new Uint8Array(text.length + 256);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#end;
  }

  bytes(): Uint8Array {
    return this.#out.subarray(0, this.#end);
  }

  /**
   * Appends the entry in the line from `start` to `end`.
   *
   * @throws {ParseError} when the line is not an entry
   */
  entry(start: number, end: number, index: number): void {
    this.#at = start;
    this.#lineEnd = end;
    this.#index = index;
    this.#reserve(end - start);
    this.#u32(this.#readPcr());
    const hashEnd = this.#tokenEnd('template_hash');
    if (this.#hex(hashEnd, 'template_hash') !== this.#hashBytes) {
      this.#fail('template_hash', `is not ${2 * this.#hashBytes} hex digits`, this.#at);
    }
    this.#next('template_name');
    const nameEnd = this.#tokenEnd('template_name');
    const template = this.#template(this.#at, nameEnd);
    this.#u32(nameEnd - this.#at);
    this.#copy(nameEnd);
    if (template.legacy) this.#legacyData();
    else this.#data(template);
  }

  #legacyData(): void {
    this.#next('d');
    const end = this.#tokenEnd('d');
    if (this.#hex(end, 'd') !== 20) this.#fail('d', 'is not 40 hex digits', this.#at);
    this.#next('n');
    this.#u32(this.#lineEnd - this.#at);
    this.#copy(this.#lineEnd);
  }

  #data(template: ImaTemplate): void {
    const length = this.#end;
    this.#end += 4;
    const { fields } = template;
    const last = fields.at(-1);
    for (const field of fields) {
      this.#next(field.id);
      const end = field === last ? this.#lineEnd : this.#tokenEnd(field.id);
      const start = this.#end;
      this.#end += 4;
      this.#field(field, end);
      this.#u32At(start, this.#end - start - 4);
    }
    this.#u32At(length, this.#end - length - 4);
  }

  #field(field: ImaField, end: number): void {
    switch (field.kind) {
      case 'digest-ng':
      case 'digest-ngv2':
        if (end > this.#at) this.#digest(end, field.id);
        return;
      case 'name':
      case 'text':
        if (end === this.#at && field.kind === 'text') return;
        this.#copy(end);
        this.#out[this.#end++] = 0;
        return;
      case 'uint':
        this.#uint(end, field);
        return;
      default:
        this.#hex(end, field.id);
    }
  }

  /** `algorithm:hex` or `type:algorithm:hex`; a NUL stands before the digest. */
  #digest(end: number, field: string): void {
    let digest = this.#at;
    for (let i = this.#at; i < Math.min(end, this.#at + MAX_PREFIX_BYTES); i++) {
      if (this.#text[i] === COLON) digest = i + 1;
    }
    if (digest === this.#at) this.#fail(field, 'has no colon between algorithm and digest', this.#at);
    this.#copy(digest);
    this.#out[this.#end++] = 0;
    this.#hex(end, field);
  }

  #uint(end: number, { id, sizeBytes }: ImaField): void {
    const value = this.#decimal(end, id);
    if (value >= 2 ** (8 * sizeBytes)) this.#fail(id, `does not fit ${sizeBytes} bytes`, this.#at);
    for (let i = 0; i < sizeBytes; i++) this.#out[this.#end++] = Math.floor(value / 2 ** (8 * i)) & 0xff;
    this.#at = end;
  }

  #readPcr(): number {
    // Printed as %2d.
    if (this.#text[this.#at] === SPACE) this.#at++;
    const end = this.#tokenEnd('pcr');
    const pcr = this.#decimal(end, 'pcr');
    if (this.#pcr !== 'any' && pcr !== this.#pcr)
      this.#fail('pcr', `is ${pcr}, ${this.#pcr} expected`, this.#at, 'bytes.known');
    this.#at = end;
    this.#next('template_hash');
    return pcr;
  }

  #decimal(end: number, field: string): number {
    const digits = end - this.#at;
    if (digits < 1 || digits > 10) this.#fail(field, 'is not a number', this.#at);
    let value = 0;
    for (let i = this.#at; i < end; i++) {
      const digit = (this.#text[i] ?? 0) - ZERO;
      if (digit < 0 || digit > 9 || (value === 0 && i > this.#at)) this.#fail(field, 'is not a number', i);
      value = value * 10 + digit;
    }
    return value;
  }

  #template(start: number, end: number): ImaTemplate {
    if (this.#last !== undefined && this.#repeatsLast(start, end)) return this.#last.template;
    const name = String.fromCharCode(
      ...this.#text.subarray(start, Math.min(end, start + MAX_TEMPLATE_NAME_BYTES)),
    );
    const template = imaTemplate(name);
    if (template === undefined || name.length !== end - start) {
      this.#fail('template_name', 'is a template that is unknown', start, 'bytes.known');
    }
    this.#last = { template, start, end };
    return template;
  }

  /** Whether the name is that of the line before, as it is in most lines. */
  #repeatsLast(start: number, end: number): boolean {
    const { start: from = 0, end: to = 0 } = this.#last ?? {};
    if (end - start !== to - from) return false;
    for (let i = start, j = from; i < end; i++, j++) if (this.#text[i] !== this.#text[j]) return false;
    return true;
  }

  /** Steps over the space before `field`. */
  #next(field: string): void {
    if (this.#at >= this.#lineEnd || this.#text[this.#at] !== SPACE)
      this.#fail(field, 'is missing', this.#at);
    this.#at++;
  }

  /** Where the token at the cursor ends. */
  #tokenEnd(field: string): number {
    for (let i = this.#at; i < this.#lineEnd; i++) if (this.#text[i] === SPACE) return i;
    return this.#fail(field, 'is the last thing in the line', this.#at);
  }

  /** Decodes hex digits up to `end`, returns how many bytes they are. */
  #hex(end: number, field: string): number {
    const text = this.#text;
    const out = this.#out;
    let to = this.#end;
    if ((end - this.#at) % 2 !== 0) this.#fail(field, 'is an odd number of hex digits', this.#at);
    for (let i = this.#at; i < end; i += 2) {
      const high = HEX[text[i] ?? 0] ?? 0;
      const low = HEX[text[i + 1] ?? 0] ?? 0;
      if ((high | low) > 0xf) this.#fail(field, 'is not lower-case hexadecimal', i);
      out[to++] = (high << 4) | low;
    }
    const count = to - this.#end;
    this.#end = to;
    this.#at = end;
    return count;
  }

  #copy(end: number): void {
    const text = this.#text;
    const out = this.#out;
    let to = this.#end;
    for (let i = this.#at; i < end; i++) out[to++] = text[i] ?? 0;
    this.#end = to;
    this.#at = end;
  }

  #u32(value: number): void {
    this.#u32At(this.#end, value);
    this.#end += 4;
  }

  #u32At(at: number, value: number): void {
    this.#out[at] = value;
    this.#out[at + 1] = value >>> 8;
    this.#out[at + 2] = value >>> 16;
    this.#out[at + 3] = value >>> 24;
  }

  /** Room for the entry of a line: no field takes more than its text, its length, a NUL and a number. */
  #reserve(lineBytes: number): void {
    const needed = this.#end + lineBytes + 256;
    if (needed <= this.#out.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#out.length));
    grown.set(this.#out);
    this.#out = grown;
  }

  #fail(field: string, problem: string, at: number, rule?: 'bytes.known'): never {
    return failEntry(this.#index, field, at, problem, rule);
  }
}
