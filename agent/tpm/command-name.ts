import { TPM_CC } from '../../core/tpm/constants.ts';

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(TPM_CC).map(([name, code]) => [code, name]),
);

/** A command's name for people, such as `TPM2_NV_Read`. */
export function commandName(code: number): string {
  return `TPM2_${NAMES.get(code) ?? `0x${code.toString(16)}`}`;
}
