import { hash } from 'node:crypto';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import { NodeId } from '../core/messages/common.ts';
import type { Database } from '../platform/database/index.ts';
import type { PinnedPool } from '../platform/http/pinned-pool.ts';
import type { JobQueue } from '../platform/queue/index.ts';
import { type EndedTrust, findUntold, markTold, readEndedTrust } from './store/ended-trust.ts';
import { sendRevocation } from './transport/revocation-notice.ts';

const JOB = 'notify-revocation';
const CONCURRENCY = 20;
// Over half an hour in all; by then the node has heard it from the issuer, or has nothing valid left.
const ATTEMPTS = 12;
const BACKOFF_MS = 500;

const Payload = Type.Object({ nodeId: NodeId, epoch: Type.Integer() });
type Payload = Static<typeof Payload>;

/** Has the agent told, at once and again until it has heard, that its trust has ended. */
export async function enqueueNotice(queue: Pick<JobQueue, 'enqueue'>, payload: Payload): Promise<void> {
  const dedupeId = `${payload.nodeId}.${payload.epoch}`;
  await queue.enqueue(JOB, payload, { attempts: ATTEMPTS, backoffMs: BACKOFF_MS, dedupeId });
}

/**
 * Queues notices that nobody queued, because the process that ended trust died or could not reach the queue, and those
 * that were given up. A notice that waits already is not doubled.
 */
export async function enqueueUntold(
  queue: Pick<JobQueue, 'enqueue'>,
  database: Pick<Database, 'pool'>,
): Promise<void> {
  for (const payload of await findUntold(database)) await enqueueNotice(queue, payload);
}

/** Does these jobs here. What the payload says is looked up again: a node that is trusted again hears nothing. */
export async function workNotices(
  queue: Pick<JobQueue, 'work'>,
  database: Database,
  pool: Pick<PinnedPool, 'request' | 'drop'>,
): Promise<void> {
  await queue.work(
    JOB,
    async (payload) => {
      if (!Value.Check(Payload, payload)) return;
      const ended = await readEndedTrust(database, payload.nodeId);
      if (!ended || ended.epoch !== payload.epoch) return;
      await notify(pool, payload.nodeId, ended);
      await markTold(database, payload);
    },
    { concurrency: CONCURRENCY },
  );
}

async function notify(
  pool: Pick<PinnedPool, 'request' | 'drop'>,
  nodeId: string,
  { host, port, apiVersion, tlsCertificate, ...notice }: EndedTrust,
): Promise<void> {
  // A connection of its own: that of the polls is let go when a node is banned.
  const peer = { id: `${nodeId} notice`, host, port, tlsSha256: hash('sha256', tlsCertificate, 'buffer') };
  try {
    await sendRevocation(pool, peer, apiVersion, { nodeId, ...notice });
  } finally {
    await pool.drop(peer.id);
  }
}
