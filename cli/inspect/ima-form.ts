import { u32At } from '../../core/ima/fields.ts';
import { imaTemplate, MAX_TEMPLATE_NAME_BYTES } from '../../core/ima/template.ts';
import { digestSize, type HashName } from '../../core/tpm/constants.ts';

/** What a list is to be read as. */
export interface ImaForm {
  readonly form: 'binary' | 'text';
  /** Kernels show the list once for each bank: with the hash in the file's name, which a copy need not have. */
  readonly hash: HashName;
}

const HASHES: readonly HashName[] = ['sha1', 'sha256', 'sha384', 'sha512'];
const FIRST_LINE = /^ ?\d{1,2} ([0-9a-f]+) /;
const MAX_LINE_START = 160;

/** Tells by the first entry. What is none of them comes back as the usual list, so that its parser says what is wrong. */
export function imaFormOf(bytes: Uint8Array): ImaForm {
  const start = Buffer.from(bytes.subarray(0, MAX_LINE_START)).toString('latin1');
  const digits = FIRST_LINE.exec(start)?.[1]?.length;
  const fits = (name: HashName) =>
    digits === undefined ? namesTemplate(bytes, digestSize(name)) : digits === 2 * digestSize(name);
  return { form: digits === undefined ? 'binary' : 'text', hash: HASHES.find(fits) ?? 'sha1' };
}

/** Whether the name of a template stands where it would with hashes of this size. */
function namesTemplate(bytes: Uint8Array, hashBytes: number): boolean {
  const name = 8 + hashBytes;
  const length = bytes.length < name ? 0 : u32At(bytes, name - 4);
  if (length === 0 || length > MAX_TEMPLATE_NAME_BYTES) return false;
  return imaTemplate(Buffer.from(bytes.subarray(name, name + length)).toString('latin1')) !== undefined;
}
