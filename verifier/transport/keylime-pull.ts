import type { Finding } from '../../core/finding.ts';
import { PeerError, type PinnedAnswer, type PinnedPool } from '../../platform/http/pinned-pool.ts';
import { peerFinding } from '../domain/reasons.ts';
import type { EvidenceAnswer, EvidenceRequest, EvidenceSource } from './evidence-source.ts';

export interface KeylimePullOptions {
  readonly pool: Pick<PinnedPool, 'request' | 'drop'>;
  readonly timeoutMs: number;
  readonly maxBytes: number;
}

const API_VERSION = /^2\.\d{1,2}$/;
const OLDEST = '2.1';
const MAX_KEY_CHARACTERS = 8192;

/** Keylime's pull API 2.x: GET quotes/integrity at the agent, over the pinned connection. */
export function keylimePull({ pool, timeoutMs, maxBytes }: KeylimePullOptions): EvidenceSource {
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

function pathOf({ nonce, mask, apiVersion, reportKey }: EvidenceRequest): string {
  const version = API_VERSION.test(apiVersion) ? apiVersion : OLDEST;
  // Not what it sounds like: 0 adds the key.
  const partial = reportKey ? 0 : 1;
  return `/v${version}/quotes/integrity?nonce=${nonce}&mask=${mask}&partial=${partial}&ima_ml_entry=0`;
}

/** Checked by hand: a schema validator would cost more than the signature. Nothing but what the quote signs is read. */
function readAnswer({ status, body }: PinnedAnswer, { reportKey }: EvidenceRequest): EvidenceAnswer {
  if (status !== 200) return { came: false, finding: unusable(`answered with status ${status}`) };
  const results = resultsIn(body);
  const quote = member(results, 'quote');
  if (typeof quote !== 'string') {
    return { came: false, finding: unusable('answered with something else than a quote in JSON') };
  }
  const publicKey = reportKey ? member(results, 'pubkey') : undefined;
  if (typeof publicKey !== 'string' || publicKey.length > MAX_KEY_CHARACTERS) return { came: true, quote };
  return { came: true, quote, publicKey };
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

function unusable(problem: string): Finding {
  return { rule: 'node.answer', message: `the agent ${problem}` };
}
