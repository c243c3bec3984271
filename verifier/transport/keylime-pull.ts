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

/** Keylime's pull API 2.x: GET quotes/integrity at the agent, over the pinned connection. */
export function keylimePull({ pool, timeoutMs, maxBytes }: KeylimePullOptions): EvidenceSource {
  return {
    async ask(peer, request) {
      try {
        return readAnswer(
          await pool.request(peer, { method: 'GET', path: pathOf(request), timeoutMs, maxBytes }),
        );
      } catch (error) {
        if (!(error instanceof PeerError)) throw error;
        return { came: false, finding: peerFinding(error.reason, error.message) };
      }
    },
    forget: (peerId) => void pool.drop(peerId),
  };
}

function pathOf({ nonce, mask, apiVersion }: EvidenceRequest): string {
  const version = API_VERSION.test(apiVersion) ? apiVersion : OLDEST;
  return `/v${version}/quotes/integrity?nonce=${nonce}&mask=${mask}&partial=1&ima_ml_entry=0`;
}

/** Checked by hand: a schema validator would cost more than the signature. Only `quote` is read, and only it is signed. */
function readAnswer({ status, body }: PinnedAnswer): EvidenceAnswer {
  if (status !== 200) return { came: false, finding: unusable(`answered with status ${status}`) };
  const quote = quoteIn(body);
  return quote === undefined
    ? { came: false, finding: unusable('answered with something else than a quote in JSON') }
    : { came: true, quote };
}

function quoteIn(body: Buffer): string | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  const results = member(answer, 'results');
  const quote = member(results, 'quote');
  return typeof quote === 'string' ? quote : undefined;
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Reflect.get(value, name);
}

function unusable(problem: string): Finding {
  return { rule: 'node.answer', message: `the agent ${problem}` };
}
