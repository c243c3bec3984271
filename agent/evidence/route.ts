import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { type EvidenceHeader, renderEvidenceHeader } from '../../core/messages/evidence.ts';
import type { HashName } from '../../core/tpm/constants.ts';
import { RequestRefused } from '../keylime/envelope.ts';
import { readMask, readNonce } from '../keylime/parameters.ts';
import { type QuoteSource, quoteFields } from '../keylime/quotes.ts';
import { type ImaPosition, openImaList } from './ima-list.ts';
import { type LogPaths, readLog } from './logs.ts';

/** Path of the route; the query says what is wanted. */
export const EVIDENCE_PATH = '/v1/evidence';

export interface EvidenceDependencies {
  readonly bank: HashName;
  readonly publicKeyPem: string;
  readonly logs: LogPaths;
  /** Undefined until the TPM answers. */
  readonly quoteSource: () => QuoteSource | undefined;
  readonly onQuote: (pcrs: readonly number[]) => void;
}

/** A quote and the logs that explain it. */
export interface EvidenceReply {
  readonly head: Uint8Array;
  /** The measurement list, which may be long. */
  readonly rest: Readable | undefined;
}

const MINOR = 6;

/**
 * GET /v1/evidence?nonce&mask&boot&userspace&ima: a quote bound to this connection, and logs as the kernel has them.
 * `boot` and `userspace` are absent, `all`, or the SHA-256 of a log that need not be sent again; `ima` is absent or
 * ENTRY.OFFSET, from where on the list is wanted.
 */
export async function answerEvidence(
  deps: EvidenceDependencies,
  query: URLSearchParams,
): Promise<EvidenceReply> {
  const { bank, publicKeyPem, logs } = deps;
  const nonce = readNonce(query);
  const pcrs = readMask(query);
  const wanted = readPosition(query);
  const source = deps.quoteSource();
  if (source === undefined) throw new RequestRefused(500, 'the TPM is not ready');
  const { quote } = await quoteFields(source, { nonce, bank, pcrs, publicKeyPem, minor: MINOR });
  // Logs are read after the quote, so that they hold all that was quoted, and perhaps more.
  const firmware = await wantedLog(logs.boot, query.get('boot'));
  const userspace = await wantedLog(logs.userspace, query.get('userspace'));
  const list = wanted && (await openImaList(logs.imaBinary, wanted));
  deps.onQuote(pcrs);
  const header: EvidenceHeader = {
    quote,
    firmware: sizeOf(firmware),
    userspace: sizeOf(userspace),
    ima: list?.from ?? null,
  };
  const sent = [firmware, userspace].filter((log) => log instanceof Uint8Array);
  return { head: Buffer.concat([renderEvidenceHeader(header), ...sent]), rest: list?.stream() };
}

async function wantedLog(path: string | null, wanted: string | null): Promise<Buffer | 'same' | undefined> {
  if (wanted === null) return undefined;
  const bytes = await readLog(path);
  if (bytes === undefined || wanted === 'all') return bytes;
  return createHash('sha256').update(bytes).digest('hex') === wanted ? 'same' : bytes;
}

function sizeOf(log: Buffer | 'same' | undefined): number | 'same' | null {
  if (log === undefined) return null;
  return log === 'same' ? log : log.length;
}

function readPosition(query: URLSearchParams): ImaPosition | undefined {
  const text = query.get('ima');
  if (text === null) return undefined;
  const [, entry, offset] = /^(\d{1,12})\.(\d{1,15})$/.exec(text) ?? [];
  if (entry === undefined || offset === undefined) {
    throw new RequestRefused(400, 'parameter ima must be ENTRY.OFFSET, such as 0.0');
  }
  return { entry: Number(entry), offset: Number(offset) };
}
