import { fromHex, toHex } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import type { Finding } from '../../core/finding.ts';
import { parseImaAscii } from '../../core/ima/ascii.ts';
import type { ImaState } from '../../core/ima/replay.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import type { PolicyBank } from '../../policies/policy.ts';
import type { BrokenList, ImaEvidence } from '../../policies/rules/ima.ts';
import type { MeasurementList } from '../transport/evidence-source.ts';

/** How much of a node's measurement list is proven and judged, as it is stored. */
export interface ImaProgress {
  readonly entries: number;
  readonly bank: HashName;
  /** Hex: PCR 10 behind those entries. */
  readonly pcr: string;
  /** `name@version`: another policy judges all of it again. */
  readonly policy: string;
}

interface JudgedBy {
  readonly name: string;
  readonly version: number;
  readonly policy: { readonly pcrs: { readonly bank: PolicyBank } };
}

/** What is known, when it was judged by this very policy. */
export function imaStateOf(progress: ImaProgress | undefined, by: JudgedBy): ImaState | undefined {
  const { bank } = by.policy.pcrs;
  if (!progress || progress.bank !== bank || progress.policy !== nameOf(by)) return undefined;
  return { entries: progress.entries, pcrs: new Map([[bank, fromHex(progress.pcr, 'ima.pcr')]]) };
}

export function imaProgress({ entries, pcrs }: ImaState, by: JudgedBy): ImaProgress {
  const { bank } = by.policy.pcrs;
  return { entries, bank, pcr: toHex(pcrs.get(bank) ?? new Uint8Array()), policy: nameOf(by) };
}

/** Parses the text of a list; what does not parse is a finding (rule `ima.bytes`). */
export function readMeasurementList({ text, firstEntry }: MeasurementList): ImaEvidence | BrokenList {
  try {
    return { list: parseImaAscii(new Uint8Array(Buffer.from(text, 'utf8'))), firstEntry };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    const problem: Finding = {
      rule: 'ima.bytes',
      message: `the measurement list is broken: ${error.message}`,
    };
    return { problem };
  }
}

function nameOf({ name, version }: JudgedBy): string {
  return `${name}@${version}`;
}
