import { ParseError } from '../errors.ts';
import { digestSize, type HashName, PCR_COUNT } from '../tpm/constants.ts';
import { failEntry, scanFields, scanLegacyFields, u32At } from './fields.ts';
import { ColumnBuilder, IMA_FLAG, type ImaList, NO_ALGO } from './list.ts';
import { type ImaTemplate, imaTemplate, MAX_TEMPLATE_NAME_BYTES } from './template.ts';

/** The PCR of IMA unless a kernel is configured otherwise. */
export const IMA_PCR = 10;

/** What a list is read with. */
export interface ImaListOptions {
  /**
   * PCR that every entry must name; 10 by default. A kernel's policy may send entries elsewhere (`pcr=11`): `any` reads
   * them all, to look at; imaOfPcr has those that lead one register on.
   */
  readonly pcr?: number | 'any';
  /** Hash of the template hashes in the list, that is of the kernel's file it was read from; sha1 by default. */
  readonly hash?: HashName;
  readonly maxEntries?: number;
  readonly maxBytes?: number;
}

const DEFAULT_MAX_ENTRIES = 2_000_000;
const DEFAULT_MAX_BYTES = 512 * 1024 * 1024;
const MAX_DATA_BYTES = 1024 * 1024;
const MAX_TEMPLATES = 255;
// What an `ima-ng` entry of a usual path takes; the columns grow when a list has shorter ones.
const USUAL_ENTRY_BYTES = 110;

/**
 * Parses `binary_runtime_measurements` of a little-endian kernel (Documentation/security/IMA-templates.rst and
 * ima_fs.c), any mix of templates. Keeps views: leave `bytes` unchanged. Checks form only; hashes are replay.ts.
 *
 * @throws {ParseError} unless the bytes are whole entries of known templates, all for one PCR
 */
export function parseImaList(bytes: Uint8Array, options: ImaListOptions = {}): ImaList {
  const { maxBytes = DEFAULT_MAX_BYTES, hash = 'sha1', pcr = IMA_PCR } = options;
  if (bytes.length > maxBytes) {
    throw new ParseError('ima', 0, `the list has ${bytes.length} bytes, the limit is ${maxBytes}`);
  }
  const scanner = new ListScanner(bytes, pcr, digestSize(hash), options.maxEntries ?? DEFAULT_MAX_ENTRIES);
  const columns = scanner.scan();
  return { bytes, length: columns.data.length, pcr, hash, templates: scanner.templates, columns };
}

/** The entries of a list that was read with `any` which extend one register, as a list of their own. */
export function imaOfPcr({ bytes, columns, length, hash }: ImaList, pcr: number): ImaList {
  const parts: Uint8Array[] = [];
  for (let i = 0; i < length; i++) {
    const start = columns.start[i] ?? 0;
    if (u32At(bytes, start) === pcr) parts.push(bytes.subarray(start, columns.start[i + 1]));
  }
  return parseImaList(new Uint8Array(Buffer.concat(parts)), { pcr, hash, maxBytes: Infinity });
}

class ListScanner {
  readonly templates: ImaTemplate[] = [];
  readonly #bytes: Uint8Array;
  readonly #pcr: number | 'any';
  readonly #hashBytes: number;
  readonly #maxEntries: number;
  readonly #builder: ColumnBuilder;
  readonly #byName = new Map<string, number>();
  /** Where the template name of the entry before stands: most entries repeat it. */
  #lastName = 0;
  #lastLength = 0;
  #lastTemplate = -1;

  constructor(bytes: Uint8Array, pcr: number | 'any', hashBytes: number, maxEntries: number) {
    this.#bytes = bytes;
    this.#pcr = pcr;
    this.#hashBytes = hashBytes;
    this.#maxEntries = maxEntries;
    this.#builder = new ColumnBuilder(Math.min(maxEntries, Math.ceil(bytes.length / USUAL_ENTRY_BYTES)));
  }

  scan() {
    let at = 0;
    while (at < this.#bytes.length) at = this.#entry(at);
    return this.#builder.finish(at);
  }

  /** Reads the entry at `at`, returns where it ends. */
  #entry(start: number): number {
    const bytes = this.#bytes;
    const index = this.#builder.length;
    if (index >= this.#maxEntries) {
      failEntry(index, 'pcr', start, `the list has more than ${this.#maxEntries} entries`);
    }
    const columns = this.#builder.room();
    this.#need(start, 8 + this.#hashBytes, 'header');
    this.#checkPcr(start);
    const name = start + 8 + this.#hashBytes;
    const template = this.#template(name, u32At(bytes, name - 4));
    const data = name + this.#lastLength;
    columns.start[index] = start;
    columns.template[index] = this.#lastTemplate;
    columns.flags[index] = this.#isZero(start + 4) ? IMA_FLAG.VIOLATION : 0;
    columns.digest[index] = 0;
    columns.digestAlgo[index] = NO_ALGO;
    this.#builder.length++;
    const row = { columns, index };
    if (template.legacy) {
      columns.data[index] = data;
      return scanLegacyFields(bytes, data, row);
    }
    this.#need(data, 4, 'template_data', index);
    const length = u32At(bytes, data);
    if (length > MAX_DATA_BYTES) {
      failEntry(index, 'template_data', data, `length ${length} is over the limit of ${MAX_DATA_BYTES}`);
    }
    this.#need(data + 4, length, 'template_data', index);
    columns.data[index] = data + 4;
    scanFields(bytes, data + 4 + length, template, row);
    return data + 4 + length;
  }

  #need(at: number, length: number, field: string, index = this.#builder.length): void {
    const left = this.#bytes.length - at;
    if (length > left) failEntry(index, field, at, `needs ${length} bytes, ${left} left`);
  }

  #checkPcr(at: number): void {
    const pcr = u32At(this.#bytes, at);
    const wanted = this.#pcr === 'any' ? IMA_PCR : this.#pcr;
    if (pcr === wanted || (this.#pcr === 'any' && pcr < PCR_COUNT)) return;
    const swapped = pcr === wanted * 0x1000000;
    const hint = swapped ? '; the list is in big-endian order, boot with ima_canonical_fmt' : '';
    failEntry(this.#builder.length, 'pcr', at, `is ${pcr}, ${wanted} expected${hint}`, 'bytes.known');
  }

  #isZero(at: number): boolean {
    for (let i = at; i < at + this.#hashBytes; i++) if (this.#bytes[i] !== 0) return false;
    return true;
  }

  #template(at: number, length: number): ImaTemplate {
    const index = this.#builder.length;
    if (length === 0 || length > MAX_TEMPLATE_NAME_BYTES) {
      const problem = `length ${length} is not between 1 and ${MAX_TEMPLATE_NAME_BYTES}`;
      failEntry(index, 'template_name', at - 4, problem);
    }
    this.#need(at, length, 'template_name');
    if (!this.#sameName(at, length)) {
      this.#lastTemplate = this.#lookUp(at, length);
      this.#lastLength = length;
    }
    this.#lastName = at;
    const template = this.templates[this.#lastTemplate];
    if (template === undefined) throw new RangeError('a template that was read is not there');
    return template;
  }

  #sameName(at: number, length: number): boolean {
    if (length !== this.#lastLength) return false;
    const bytes = this.#bytes;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== bytes[this.#lastName + i]) return false;
    return true;
  }

  #lookUp(at: number, length: number): number {
    const name = String.fromCharCode(...this.#bytes.subarray(at, at + length));
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const template = imaTemplate(name);
    if (template === undefined) {
      failEntry(this.#builder.length, 'template_name', at, 'is a template that is unknown', 'bytes.known');
    }
    if (this.templates.length >= MAX_TEMPLATES) {
      failEntry(this.#builder.length, 'template_name', at, `more than ${MAX_TEMPLATES} templates in a list`);
    }
    this.#byName.set(name, this.templates.length);
    return this.templates.push(template) - 1;
  }
}
