import { parseAuthorityData, parseVariableData } from '../efi/variable.ts';
import type { Coverage } from './coverage.ts';
import type { EventContent } from './types.ts';

/** EV_EFI_VARIABLE_DRIVER_CONFIG and EV_EFI_VARIABLE_BOOT2: the digest is of UEFI_VARIABLE_DATA, name and all. */
export function variableContent(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  const variable = parseVariableData(data, dataOffset);
  if (!coverage.of(data)) {
    return { kind: 'variable', ...coverage.unverified('data'), unverified: variable };
  }
  return { kind: 'variable', verified: true, covers: 'data', proven: variable, unverified: undefined };
}

/** EV_EFI_VARIABLE_BOOT: the digest is of the value alone; of some firmware, of all of it. */
export function bootVariableContent(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  const variable = parseVariableData(data, dataOffset);
  const { variableName, unicodeName, variableData } = variable;
  if (coverage.of(variableData)) {
    return {
      kind: 'variable-value',
      verified: true,
      covers: 'variable-data',
      proven: { variableData },
      unverified: { variableName, unicodeName },
    };
  }
  return coverage.of(data)
    ? { kind: 'variable', verified: true, covers: 'data', proven: variable, unverified: undefined }
    : { kind: 'variable', ...coverage.unverified('variable-data'), unverified: variable };
}

/**
 * EV_EFI_VARIABLE_AUTHORITY: the digest is of UEFI_VARIABLE_DATA, with one entry of the list in place of its value. Shim
 * 15 puts six bytes behind it, and its digest is of five of them.
 */
export function authorityContent(coverage: Coverage): EventContent {
  const { data, dataOffset } = coverage.event;
  const { variable, padded } = parseAuthorityData(data, dataOffset);
  const covers = padded ? 'data-without-last' : 'data';
  if (!coverage.of(padded ? data.subarray(0, -1) : data)) {
    return { kind: 'authority', ...coverage.unverified(covers), unverified: variable };
  }
  return { kind: 'authority', verified: true, covers, proven: variable, unverified: undefined };
}
