import type { RegisterKind } from './event.ts';

/** Registers of an Intel TD as its event log (ACPI table CCEL) numbers them (UEFI 2.11, 38.4.1). */
const TDX_NAMES = ['MRTD', 'RTMR[0]', 'RTMR[1]', 'RTMR[2]', 'RTMR[3]'];

/** What a register is called, such as `PCR 7` or `RTMR[1]`. */
export function registerName(kind: RegisterKind, index: number): string {
  return (kind === 'tdx' ? TDX_NAMES[index] : undefined) ?? `PCR ${index}`;
}

/**
 * The register of a TD that stands for a PCR: what is written about PCR 7, say, is to be looked for there.
 *
 * @returns `undefined` for PCR 16 up, which have none
 */
export function tdxRegisterOf(pcr: number): number | undefined {
  if (pcr === 0) return 0;
  if (pcr === 1 || pcr === 7) return 1;
  if (pcr >= 2 && pcr <= 6) return 2;
  return pcr >= 8 && pcr <= 15 ? 3 : undefined;
}
