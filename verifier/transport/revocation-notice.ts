import type { Finding } from '../../core/finding.ts';
import type { PinnedPeer, PinnedPool } from '../../platform/http/pinned-pool.ts';

export interface RevocationNotice {
  readonly nodeId: string;
  readonly alias: string;
  readonly at: Date;
  readonly reasons: readonly Finding[];
}

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 16 * 1024;

/**
 * Tells an agent that its trust has ended, in Keylime's form. The connection says who speaks: there is no signature.
 *
 * @throws {PeerError} when it cannot be reached
 * @throws {Error} when it answers with anything but success
 */
export async function sendRevocation(
  pool: Pick<PinnedPool, 'request'>,
  peer: PinnedPeer,
  apiVersion: string,
  notice: RevocationNotice,
): Promise<void> {
  const { nodeId, alias, at, reasons } = notice;
  const message = {
    type: 'revocation',
    agent_id: alias,
    node_id: nodeId,
    event_time: at.toISOString(),
    reasons,
  };
  const { status } = await pool.request(peer, {
    method: 'POST',
    path: `/v${apiVersion}/notifications/revocation`,
    body: JSON.stringify({ msg: JSON.stringify(message), signature: '' }),
    timeoutMs: TIMEOUT_MS,
    maxBytes: MAX_ANSWER_BYTES,
  });
  if (status !== 200) throw new Error(`the agent answered a revocation notice with status ${status}`);
}
