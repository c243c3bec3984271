import { PeerError, type PinnedAnswer, type PinnedPool } from '../../platform/http/pinned-pool.ts';
import { peerFinding, unusableAnswer } from '../domain/reasons.ts';
import type { EvidenceAnswer, EvidenceRequest, EvidenceSource, MeasurementList } from './evidence-source.ts';

export interface PullOptions {
  readonly pool: Pick<PinnedPool, 'request' | 'drop'>;
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

const API_VERSION = /^2\.\d{1,2}$/;
const OLDEST = '2.1';
const MAX_KEY_CHARACTERS = 8192;

/** Keylime's pull API 2.x: GET quotes/integrity at the agent, over the pinned connection. */
export function keylimePull({ pool, timeoutMs, maxBytes }: PullOptions): EvidenceSource {
  return {
    async ask(peer, request) {
      try {
        return readAnswer(
          await pool.request(peer, { method: 'GET', path: pathOf(request), timeoutMs, maxBytes }),
          request,
        );
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
        return { came: false, finding: peerFinding(error.reason, error.message) };
      }
    },
    forget: (peerId) => void pool.drop(peerId),
  };
}

function pathOf({ nonce, mask, apiVersion, reportKey, imaFrom }: EvidenceRequest): string {
  const version = API_VERSION.test(apiVersion) ? apiVersion : OLDEST;
  // Not what it sounds like: 0 adds the key.
  const partial = reportKey ? 0 : 1;
  return `/v${version}/quotes/integrity?nonce=${nonce}&mask=${mask}&partial=${partial}&ima_ml_entry=${imaFrom?.entries ?? 0}`;
}

/** Checked by hand: a schema validator would cost more than the signature. Nothing but what the quote signs is read. */
function readAnswer({ status, body }: PinnedAnswer, request: EvidenceRequest): EvidenceAnswer {
  if (status !== 200) return { came: false, finding: unusableAnswer(`answered with status ${status}`) };
  const results = resultsIn(body);
  const quote = member(results, 'quote');
  if (typeof quote !== 'string') {
    return { came: false, finding: unusableAnswer('answered with something else than a quote in JSON') };
  }
  const ima = request.imaFrom === undefined ? undefined : listIn(results);
  const firmware = request.boot && logIn(results);
  const publicKey = request.reportKey ? keyIn(results) : undefined;
  return {
    came: true,
    quote,
    ...(publicKey === undefined ? {} : { publicKey }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(ima === undefined ? {} : { ima }),
  };
}

function keyIn(results: unknown): string | undefined {
  const key = member(results, 'pubkey');
  return typeof key === 'string' && key.length <= MAX_KEY_CHARACTERS ? key : undefined;
}

// Decoded as far as it is base64: what is no log does not parse as one either.
function logIn(results: unknown): Uint8Array | undefined {
  const text = member(results, 'mb_measurement_list');
  return typeof text === 'string' ? new Uint8Array(Buffer.from(text, 'base64')) : undefined;
}

function listIn(results: unknown): MeasurementList | undefined {
  const text = member(results, 'ima_measurement_list');
  const entry = member(results, 'ima_measurement_list_entry') ?? 0;
  if (typeof text !== 'string' || typeof entry !== 'number') return undefined;
  return Number.isSafeInteger(entry) && entry >= 0 ? { text, firstEntry: entry } : undefined;
}

function resultsIn(body: Buffer): unknown {
  try {
    return member(JSON.parse(body.toString('utf8')), 'results');
  } catch {
    return undefined;
  }
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}
