import { hash } from 'node:crypto';
import type { HashName } from '../../tpm/constants.ts';

/**
 * The digest that Linux' EFI stub measures for a command line (tag LINUX_LOAD_OPTIONS): of the text in UTF-16 with a NUL
 * at its end. The event only names it, so a command line that is known from elsewhere is proven by this digest.
 */
export function loadOptionsDigest(commandLine: string, bank: HashName): Uint8Array {
  return new Uint8Array(hash(bank, Buffer.from(`${commandLine}\0`, 'utf16le'), 'buffer'));
}
