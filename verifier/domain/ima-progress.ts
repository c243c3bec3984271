import { fromHex, toHex } from '../../core/bytes/encoding.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import type { PolicyBank } from '../../policies/policy.ts';
import type { BrokenList, ImaEvidence, JudgedList } from '../../policies/rules/ima.ts';
import type { ImaCounts } from '../../policies/rules/ima-entries.ts';
import type { LearnedKey } from '../../policies/rules/ima-keyrings.ts';
import { readSentList } from '../../policies/rules/ima-list.ts';
import type { ListPosition, MeasurementList } from '../transport/evidence-source.ts';

/** How much of a node's measurement list is proven and judged, as it is stored. */
export interface ImaProgress {
  readonly entries: number;
  /** Where they end in the kernel's binary list; absent: recorded before that was kept. */
  readonly bytes?: number;
  readonly bank: HashName;
  /** Hex: PCR 10 behind those entries. */
  readonly pcr: string;
  /** How those entries were taken; absent: recorded before that was counted. */
  readonly counts?: ImaCounts;
  /** Keys of keyrings that the policy follows, of those entries. */
  readonly learned?: readonly LearnedKey[];
  /** `name@version`: another policy judges all of it again. */
  readonly policy: string;
}

interface JudgedBy {
  readonly name: string;
  readonly version: number;
  readonly policy: { readonly pcrs: { readonly bank: PolicyBank } };
}

/** What is known of a list, and where it goes on. */
export interface KnownList {
  readonly state: JudgedList;
  readonly position: ListPosition;
}

/** What is known, when it was judged by this very policy. */
export function knownListOf(progress: ImaProgress | undefined, by: JudgedBy): KnownList | undefined {
  const { bank } = by.policy.pcrs;
  if (!progress || progress.bank !== bank || progress.policy !== nameOf(by)) return undefined;
  const { entries, bytes, pcr } = progress;
  if (bytes === undefined) return undefined;
  const { counts, learned } = progress;
  const pcrs = new Map([[bank, fromHex(pcr, 'ima.pcr')]]);
  const state = { entries, pcrs, ...(counts ? { counts } : {}), ...(learned ? { learned } : {}) };
  return { state, position: { entries, bytes } };
}

/** @param shown the part of the list that was judged last, which ends at or behind the state */
export function imaProgress(judged: JudgedList, shown: ShownList, by: JudgedBy): ImaProgress {
  const { entries, pcrs, counts, learned } = judged;
  const { bank } = by.policy.pcrs;
  const { list, firstEntry, offset } = shown;
  const bytes = offset + (list.columns.start[entries - firstEntry] ?? 0);
  const pcr = toHex(pcrs.get(bank) ?? new Uint8Array());
  return {
    entries,
    bytes,
    bank,
    pcr,
    ...(counts ? { counts } : {}),
    ...(learned ? { learned } : {}),
    policy: nameOf(by),
  };
}

/** A part of a list, and where it starts in the kernel's binary file. */
export interface ShownList extends ImaEvidence {
  readonly offset: number;
}

/**
 * Parses a list; what does not parse is a finding (rule `ima.bytes`).
 *
 * @param known where a text goes on: what it stands for has the size of the kernel's file
 */
export function readMeasurementList(sent: MeasurementList, known?: ListPosition): ShownList | BrokenList {
  const { firstEntry } = sent;
  const isBinary = 'bytes' in sent;
  const bytes = isBinary ? sent.bytes : new Uint8Array(Buffer.from(sent.text, 'utf8'));
  const read = readSentList({ form: isBinary ? 'binary' : 'ascii', bytes, firstEntry });
  if ('problem' in read) return read;
  const textOffset = firstEntry === known?.entries ? known.bytes : 0;
  return { ...read, offset: isBinary ? sent.offset : textOffset };
}

function nameOf({ name, version }: JudgedBy): string {
  return `${name}@${version}`;
}
