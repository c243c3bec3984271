import { printable, toHex } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import { parseCelLog, parseEventLog } from '../../core/eventlog/index.ts';
import type { Finding } from '../../core/finding.ts';
import { IMA_PCR } from '../../core/ima/binary.ts';
import { IMA_FLAG, type ImaList } from '../../core/ima/list.ts';
import { parsePcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString } from '../../core/messages/keylime/quote-string.ts';
import type { PcrValues } from '../../core/tpm/pcr-selection.ts';
import { type MeasuredBoot, measuredBoot } from '../../policies/boot/measured.ts';
import { CHANNEL_PCR } from '../../policies/rules/channel.ts';
import { readSentList } from '../../policies/rules/ima-list.ts';
import type { StoredForBundle } from './bundle.ts';

/** A quoted register, and what explains its value. */
export interface MeasuredPcr {
  readonly pcr: number;
  readonly value: string;
  readonly status: 'replays' | 'literal' | 'unexplained' | 'measurement-list' | 'channel-key' | 'no-log';
  /** Events of the boot logs that lead to the value. */
  readonly events: readonly { readonly log: 'firmware' | 'userspace'; readonly index: number }[];
  /** Rules that found something wrong with it. */
  readonly rules: readonly string[];
}

interface Logs {
  readonly firmware: Uint8Array | undefined;
  readonly userspace: Uint8Array | undefined;
}

/** The registers of a quote, each with what the logs say of it. @throws {ParseError} for what cannot be read */
export function measuredPcrs(
  { bank, quote }: Pick<StoredForBundle, 'bank' | 'quote'>,
  { firmware, userspace }: Logs,
  reasons: readonly Finding[],
): MeasuredPcr[] {
  const values: PcrValues = parsePcrBlob(parseQuoteString(quote).pcrBlob).values.get(bank) ?? new Map();
  const hasLog = firmware !== undefined && firmware.length > 0;
  const logs = {
    firmware: hasLog ? parseEventLog(firmware) : undefined,
    userspace: userspace && parseCelLog(userspace, { tolerateTruncation: true }),
  };
  const { explained } = measuredBoot(logs, bank, values);
  return [...values].map(([pcr, value]) => {
    const found = explained.get(pcr);
    return {
      ...{ pcr, value: toHex(value), status: statusOf(pcr, found) },
      events: (found?.events ?? []).map(({ source: log, index }) => ({ log, index })),
      rules: rulesAbout(reasons, (one) => one.pcr === pcr),
    };
  });
}

function statusOf(pcr: number, found: ReturnType<MeasuredBoot['explained']['get']>): MeasuredPcr['status'] {
  if (pcr === IMA_PCR) return 'measurement-list';
  if (pcr === CHANNEL_PCR) return 'channel-key';
  return found?.status ?? 'no-log';
}

/** Rules that are broken by an event. */
export function rulesOfEvent(
  reasons: readonly Finding[],
  log: 'firmware' | 'userspace',
  index: number,
): string[] {
  return rulesAbout(reasons, ({ event }) => event?.log === log && event.index === index);
}

function rulesAbout(reasons: readonly Finding[], isAbout: (one: Finding) => boolean): string[] {
  return [...new Set(reasons.filter(isAbout).map(({ rule }) => rule))];
}

/** What kinds of entries a measurement list has. */
export interface ListStatistics {
  /** Number of its first entry in the whole list of the boot. */
  readonly firstEntry: number;
  readonly entries: number;
  /** How many of each template. */
  readonly templates: Readonly<Record<string, number>>;
  readonly violations: number;
  /** False when it was too long to be kept whole. */
  readonly complete: boolean;
}

/** Of the list that came with kept evidence; `undefined` where none did, or none that can be read. */
export function listStatistics({ ima }: Pick<StoredForBundle, 'ima'>): ListStatistics | undefined {
  if (!ima) return undefined;
  const { firstEntry, truncated, binary, text = '' } = ima;
  const sent =
    binary === undefined
      ? { form: 'ascii' as const, bytes: new Uint8Array(Buffer.from(text)) }
      : { form: 'binary' as const, bytes: new Uint8Array(Buffer.from(binary, 'base64')) };
  const read = readSentList({ ...sent, firstEntry });
  if ('problem' in read) return undefined;
  const { list } = read;
  return {
    ...{ firstEntry, entries: list.length, complete: !truncated },
    templates: countTemplates(list),
    violations: list.columns.flags
      .subarray(0, list.length)
      .filter((flags) => (flags & IMA_FLAG.VIOLATION) !== 0).length,
  };
}

function countTemplates({ columns, templates, length }: ImaList): Record<string, number> {
  // Names are the node's, `__proto__` too.
  const counts = new Map<string, number>();
  for (let index = 0; index < length; index += 1) {
    const name = printable(templates[columns.template[index] ?? 0]?.name ?? '');
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries(counts);
}

/** Runs `read`; what cannot be read becomes a problem that is shown. */
export function readOrTell<T>(read: () => T, problems: string[]): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    problems.push(error.message);
    return undefined;
  }
}
