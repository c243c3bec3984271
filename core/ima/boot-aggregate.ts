import { hash } from 'node:crypto';
import { equalBytes } from '../bytes/encoding.ts';
import type { HashName } from '../tpm/constants.ts';
import type { PcrBanks, PcrValues } from '../tpm/pcr-selection.ts';
import type { ImaDigest } from './entry.ts';
import type { ImaList } from './list.ts';

const BOOT_AGGREGATE = Buffer.from('boot_aggregate');

/** A kernel's version, as far as it says which PCRs it aggregates. */
export interface KernelVersion {
  readonly major: number;
  readonly minor: number;
}

/** What a `boot_aggregate` entry says about the boot. */
export type BootAggregateVerdict =
  /** It is the aggregate of PCR 0 to `last` of `bank`: 7, or 9 with command line and initrd. */
  | { readonly verdict: 'fits'; readonly bank: HashName; readonly last: 7 | 9 }
  /** The entry is of another boot, or the PCRs are. */
  | { readonly verdict: 'differs'; readonly bank: HashName }
  /** PCR 0 to 9 of its bank are not among the given ones, or its bank is none of a TPM. */
  | { readonly verdict: 'unknown'; readonly missing: string };

const BANKS: ReadonlyMap<string, HashName> = new Map(
  (['sha1', 'sha256', 'sha384', 'sha512'] as const).map((bank) => [bank, bank]),
);

/**
 * Compares the digest of a `boot_aggregate` entry with PCRs (ima_calc_boot_aggregate_tfm): PCR 0 to 7 for SHA-1, 0 to 9
 * for other banks since Linux 5.8, 0 to 7 before. Where the version is not known both are tried, and `last` tells.
 *
 * @param pcrs values that a quote covers; whether their own log explains them is for the caller
 */
export function checkBootAggregate(
  digest: ImaDigest | undefined,
  pcrs: PcrBanks,
  kernel?: KernelVersion,
): BootAggregateVerdict {
  const bank = BANKS.get(digest?.algo ?? '');
  if (digest === undefined || bank === undefined) {
    return { verdict: 'unknown', missing: `a bank of ${digest?.algo ?? 'a violation'}` };
  }
  const values = pcrs.get(bank) ?? new Map();
  const lasts = lastPcrs(bank, kernel);
  for (const last of lasts) {
    const aggregate = aggregateOf(bank, values, last);
    if (aggregate === undefined) return { verdict: 'unknown', missing: `PCR 0 to ${last} of ${bank}` };
    if (equalBytes(aggregate, digest.value)) return { verdict: 'fits', bank, last };
  }
  return { verdict: 'differs', bank };
}

/** The hash over PCR 0 to `last`, one behind the other. `undefined` when one of them is missing. */
export function aggregateOf(bank: HashName, values: PcrValues, last: 7 | 9): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (let pcr = 0; pcr <= last; pcr++) {
    const value = values.get(pcr);
    if (value === undefined) return undefined;
    parts.push(value);
  }
  return new Uint8Array(hash(bank, Buffer.concat(parts), 'buffer'));
}

/** Indices of the `boot_aggregate` entries of a list. There is one; a second one is that of a kernel after kexec. */
export function bootAggregates(list: ImaList): readonly number[] {
  const found: number[] = [];
  const { name, nameLength } = list.columns;
  for (let i = 0; i < list.length; i++) {
    if (nameLength[i] !== BOOT_AGGREGATE.length) continue;
    const at = name[i] ?? 0;
    if (BOOT_AGGREGATE.equals(list.bytes.subarray(at, at + BOOT_AGGREGATE.length))) found.push(i);
  }
  return found;
}

/** The version in a release such as `6.1.0-56-cloud-amd64`, as `kernel_version` measures it. */
export function kernelVersionOf(release: string): KernelVersion | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})(?:[.\-+]|$)/.exec(release);
  return match === null ? undefined : { major: Number(match[1]), minor: Number(match[2]) };
}

function lastPcrs(bank: HashName, kernel: KernelVersion | undefined): readonly (7 | 9)[] {
  if (bank === 'sha1') return [7];
  if (kernel === undefined) return [9, 7];
  return kernel.major > 5 || (kernel.major === 5 && kernel.minor >= 8) ? [9] : [7];
}
