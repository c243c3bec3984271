import { toHex } from '../../bytes/encoding.ts';
import type { Reader } from '../../bytes/reader.ts';

/** EFI_GUID (UEFI 2.11, appendix A): its first three fields are little-endian. Lower case, with hyphens. */
export function readGuid(reader: Reader, field: string): string {
  const bytes = reader.raw(16, field);
  const hex = (from: number, to: number) => toHex(bytes.subarray(from, to));
  const swapped = (from: number, to: number) => toHex(bytes.slice(from, to).reverse());
  return `${swapped(0, 4)}-${swapped(4, 6)}-${swapped(6, 8)}-${hex(8, 10)}-${hex(10, 16)}`;
}

/** Vendor GUIDs of the variables that are measured. */
export const VENDOR = {
  /** EFI_GLOBAL_VARIABLE (UEFI, 3.3). */
  GLOBAL: '8be4df61-93ca-11d2-aa0d-00e098032b8c',
  /** EFI_IMAGE_SECURITY_DATABASE_GUID (UEFI, 32.4.1). */
  SECURITY_DATABASE: 'd719b2cb-3d3a-4596-a3bc-dad00e67656f',
  SHIM: '605dab50-e046-4300-abb6-3dd810dd8b23',
} as const;
