import { ParseError } from '../../core/errors.ts';
import { parseEvidence } from '../../core/messages/evidence.ts';
import { PeerError, type PinnedAnswer } from '../../platform/http/pinned-pool.ts';
import { peerFinding, unusableAnswer } from '../domain/reasons.ts';
import type { EvidenceAnswer, EvidenceRequest, EvidenceSource } from './evidence-source.ts';
import type { PullOptions } from './keylime-pull.ts';

/** Our agents' way: a quote and the logs as the kernel has them, without those that are known. */
export function assayPull({ pool, timeoutMs, maxBytes }: PullOptions): EvidenceSource {
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

function pathOf({ nonce, mask, boot, imaFrom }: EvidenceRequest): string {
  const logs = boot ? `&boot=${boot.firmware ?? 'all'}&userspace=${boot.userspace ?? 'all'}` : '';
  const ima = imaFrom ? `&ima=${imaFrom.entries}.${imaFrom.bytes}` : '';
  return `/v1/evidence?nonce=${nonce}&mask=${mask}${logs}${ima}`;
}

function readAnswer({ status, body }: PinnedAnswer): EvidenceAnswer {
  if (status !== 200) return { came: false, finding: unusableAnswer(`answered with status ${status}`) };
  try {
    const { quote, firmware, userspace, ima } = parseEvidence(body);
    return {
      came: true,
      quote,
      ...(firmware ? { firmware } : {}),
      ...(userspace ? { userspace } : {}),
      ...(ima ? { ima: { bytes: ima.bytes, firstEntry: ima.entry, offset: ima.offset } } : {}),
    };
  } catch (error) {
    if (!(error instanceof ParseError)) throw error;
    return {
      came: false,
      finding: unusableAnswer(`answered with something else than evidence: ${error.message}`),
    };
  }
}
