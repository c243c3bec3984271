import { printable, toBase64, toHex } from '../../core/bytes/encoding.ts';
import { ParseError } from '../../core/errors.ts';
import { parsePcrBlob } from '../../core/messages/keylime/pcr-blob.ts';
import { parseQuoteString } from '../../core/messages/keylime/quote-string.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import type { TpmtPublic } from '../../core/tpm/public.ts';
import { appraiseQuote, type QuoteAppraisal } from '../../core/tpm/quote.ts';
import type { NodeHistory } from '../../policies/appraise.ts';
import { type ChannelBinding, type ExpectedChannel, evaluateChannel } from '../../policies/rules/channel.ts';
import type { LearnedKey } from '../../policies/rules/ima-keyrings.ts';
import type { KnownLogs, MeasurementList } from '../transport/evidence-source.ts';

/** What a node was asked, and by what its answer is judged. */
export interface QuoteRequest {
  readonly nonce: string;
  readonly bank: HashName;
  /** Exactly these, PCR 16 among them. */
  readonly pcrs: readonly number[];
  readonly akPublic: TpmtPublic;
  /** What PCR 16 must hold; absent where no channel is claimed. */
  readonly channel?: ExpectedChannel;
}

/** The evidence of a verdict as it is kept: enough to judge it again without the node. */
export interface StoredEvidence {
  readonly format: 'keylime-quote/1';
  readonly nonce: string;
  readonly bank: HashName;
  readonly pcrs: readonly number[];
  /** TPM2B_PUBLIC. */
  readonly akPublic: string;
  /** Hex; what PCR 16 had to be. Null where it did not matter, as in looking for a second holder of the keys. */
  readonly channel: string | null;
  /** Whose key that was. With `reported-key` the quote says nothing of the TLS connection. */
  readonly binding: ChannelBinding | null;
  /** As the node sent it; what is not even text of that form stands escaped. */
  readonly quote: string;
  /** The part of the measurement list that came with it. */
  readonly ima?: StoredList;
  /** Hex SHA-256 of the boot logs, which are kept once for all nodes. */
  readonly boot?: KnownLogs;
  /** By what it was judged. Absent: kept by a release before. */
  readonly policy?: { readonly name: string; readonly version: number };
  /** What was known of the node before, and made a difference. */
  readonly history?: StoredHistory;
}

/** NodeHistory as it is kept. */
export interface StoredHistory {
  readonly clock?: {
    readonly clock: string;
    readonly resetCount: number;
    readonly restartCount: number;
    readonly safe: boolean;
  };
  readonly ima?: {
    readonly entries: number;
    readonly bank: HashName;
    readonly pcr: string;
    readonly learned?: readonly LearnedKey[];
  };
}

/** A part of a measurement list: `binary` is the kernel's form in base64. */
export type StoredList = {
  readonly firstEntry: number;
  readonly truncated: boolean;
} & ({ readonly text: string } | { readonly binary: string });

/** Parses and verifies a quote in Keylime's form; what does not parse is a finding like any other. */
export function readQuote(text: string, request: QuoteRequest): QuoteAppraisal {
  const { nonce, bank, pcrs, akPublic, channel } = request;
  const appraisal = parseAndAppraise(text, { nonce: Buffer.from(nonce), bank, pcrs, akPublic });
  if (!appraisal.ok || channel === undefined) return appraisal;
  const findings = evaluateChannel(appraisal.quote.pcrs, channel);
  return findings.length > 0 ? { ok: false, findings } : appraisal;
}

function parseAndAppraise(
  text: string,
  { nonce, bank, pcrs, akPublic }: Omit<QuoteRequest, 'nonce' | 'channel'> & { readonly nonce: Uint8Array },
): QuoteAppraisal {
  try {
    const { attest, signature, pcrBlob } = parseQuoteString(text);
    const { values } = parsePcrBlob(pcrBlob);
    return appraiseQuote({
      akPublic,
      attest,
      signature,
      nonce,
      pcrValues: values,
      selection: { bank, pcrs },
    });
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return { ok: false, findings: [{ rule: error.rule, message: error.message }] };
  }
}

/** More is left out, and said to be: a list can be rebuilt from the node, its verdict cannot. */
const MAX_LIST_BYTES = 1024 * 1024;

/** What an agent may send at most, by default. */
const MAX_WHOLE_BYTES = 64 * 1024 * 1024;

function storedList(list: MeasurementList, limit: number): StoredList {
  const { firstEntry } = list;
  if ('bytes' in list) {
    const binary = toBase64(list.bytes.subarray(0, limit));
    return { firstEntry, binary, truncated: list.bytes.length > limit };
  }
  // PostgreSQL takes no NUL in JSON.
  const text = list.text.slice(0, limit).replaceAll('\0', '\\0');
  return { firstEntry, text, truncated: list.text.length > limit };
}

const QUOTE_FORM = /^[A-Za-z0-9+/=:]*$/;
const MAX_KEPT_CHARACTERS = 64 * 1024;

export function storedEvidence(
  quote: string,
  request: Omit<QuoteRequest, 'akPublic'>,
  akPublic: Uint8Array,
  judged: {
    readonly ima?: MeasurementList;
    readonly boot?: KnownLogs;
    readonly policy?: { readonly name: string; readonly version: number };
    readonly history?: NodeHistory;
    /** Somebody asked for all of the list. */
    readonly whole?: boolean;
  } = {},
): StoredEvidence {
  const kept = quote.slice(0, MAX_KEPT_CHARACTERS);
  return {
    format: 'keylime-quote/1',
    nonce: request.nonce,
    bank: request.bank,
    pcrs: request.pcrs,
    akPublic: toBase64(akPublic),
    channel: request.channel ? toHex(request.channel.value) : null,
    binding: request.channel?.binding ?? null,
    quote: QUOTE_FORM.test(kept) ? kept : printable(kept),
    ...(judged.ima ? { ima: storedList(judged.ima, judged.whole ? MAX_WHOLE_BYTES : MAX_LIST_BYTES) } : {}),
    ...(judged.boot ? { boot: judged.boot } : {}),
    ...(judged.policy ? { policy: judged.policy } : {}),
    ...(judged.history ? { history: storedHistory(judged.history, request.bank) } : {}),
  };
}

function storedHistory({ clock, ima }: NodeHistory, bank: HashName): StoredHistory {
  const pcr = ima?.pcrs.get(bank);
  const learned = ima?.learned ? { learned: ima.learned } : {};
  return {
    ...(clock ? { clock: { ...clock, clock: String(clock.clock) } } : {}),
    ...(ima && pcr ? { ima: { entries: ima.entries, bank, pcr: toHex(pcr), ...learned } } : {}),
  };
}
