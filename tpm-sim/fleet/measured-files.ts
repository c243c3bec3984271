import { hash } from 'node:crypto';
import { concat } from '../../core/bytes/writer.ts';
import type { SoftwareTpm } from './software-tpm.ts';

const IMA_PCR = 10;
const TEMPLATE = 'ima-ng';

/** As much of the kernel's IMA as a verifier sees: what is to be extended into PCR 10, and the list. */
export class MeasuredFiles {
  readonly #extend: (digest: Uint8Array) => void;
  readonly #lines: string[] = [];
  readonly #entries: Uint8Array[] = [];

  /**
   * @param pcrs PCR 0 to 9 of the SHA-256 bank: the first entry is their aggregate
   * @param extend PCR 10 of that bank
   */
  constructor(pcrs: readonly Uint8Array[], extend: (digest: Uint8Array) => void) {
    this.#extend = extend;
    this.#measure('boot_aggregate', hash('sha256', concat(...pcrs), 'buffer'));
  }

  /** Of a simulated TPM. */
  static of(tpm: SoftwareTpm): MeasuredFiles {
    const values = tpm.quote(Buffer.from('aggregate'), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]).values.get('sha256');
    return new MeasuredFiles([...(values?.values() ?? [])], (digest) => tpm.extend(IMA_PCR, digest));
  }

  get length(): number {
    return this.#lines.length;
  }

  /** A file was used: its path and its SHA-256. */
  use(path: string, content: string): void {
    this.#measure(path, hash('sha256', content, 'buffer'));
  }

  /** The whole list as the kernel's binary file has it. */
  bytes(): Uint8Array {
    return concat(...this.#entries);
  }

  /** Lines from `entry` on; from the first when there are not as many. */
  from(entry: number): { readonly text: string; readonly firstEntry: number } {
    const firstEntry = entry <= this.#lines.length ? entry : 0;
    const lines = this.#lines.slice(firstEntry);
    return { text: lines.map((line) => `${line}\n`).join(''), firstEntry };
  }

  /** The ima-ng template: each field with its length before it. */
  #measure(path: string, digest: Uint8Array): void {
    const data = concat(field(concat(Buffer.from('sha256:\0'), digest)), field(Buffer.from(`${path}\0`)));
    this.#extend(hash('sha256', data, 'buffer'));
    const header = concat(u32(IMA_PCR), hash('sha1', data, 'buffer'), field(Buffer.from(TEMPLATE)));
    this.#entries.push(concat(header, field(data)));
    const hex = Buffer.from(digest).toString('hex');
    this.#lines.push(`${IMA_PCR} ${hash('sha1', data)} ${TEMPLATE} sha256:${hex} ${path}`);
  }
}

function field(content: Uint8Array): Uint8Array {
  return concat(u32(content.length), content);
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
