import type { Database } from '../../platform/database/index.ts';
import type { Logger } from '../../platform/logging.ts';
import {
  advanceWebhook,
  claimWebhook,
  failWebhook,
  readWebhookEvents,
  releaseWebhook,
} from '../store/webhooks.ts';
import type { Webhook } from './config.ts';
import { DeliveryError, type Sender } from './deliver.ts';

export interface WebhookRun {
  readonly webhook: Webhook;
  readonly sender: Sender;
  readonly database: Database;
  /** Of this process. */
  readonly owner: string;
  readonly logger: Logger;
  readonly onOutcome: (outcome: 'delivered' | 'failed') => void;
}

const PAGE = 100;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 10 * 60_000;

/**
 * One round for one webhook: whoever holds its lease sends what waits for it, in order, each until it is taken. What was
 * sent and not noted down, because the process died, is sent again with the same id.
 *
 * @returns when to come back, if that is before something new happens
 */
export async function runWebhook(run: WebhookRun, signal: AbortSignal): Promise<Date | undefined> {
  const { webhook, database, owner } = run;
  // The lease outlives one message that takes as long as it may.
  const leaseMs = webhook.timeoutMs + LEASE_SLACK_MS;
  while (!signal.aborted) {
    const claim = await claimWebhook(database.db, webhook.name, owner, leaseMs);
    if (!claim.held) return claim.again;
    const events = await readWebhookEvents(database.db, claim.seq, webhook, PAGE);
    const next = await sendAll(run, events, leaseMs, signal);
    if (next !== 'more') return next;
    if (events.length < PAGE) break;
  }
  await releaseWebhook(database.db, webhook.name, owner);
  return undefined;
}

const LEASE_SLACK_MS = 20_000;

type Events = Awaited<ReturnType<typeof readWebhookEvents>>;

async function sendAll(
  run: WebhookRun,
  events: Events,
  leaseMs: number,
  signal: AbortSignal,
): Promise<'more' | Date | undefined> {
  const { webhook, database, owner } = run;
  for (const { seq, message } of events) {
    if (signal.aborted) break;
    if (message) {
      const claim = await claimWebhook(database.db, webhook.name, owner, leaseMs);
      if (!claim.held) return claim.again;
      const outcome = await attempt(run, { id: `trust-${seq}`, message, at: new Date() }, claim.failures);
      if (!outcome.taken) return outcome.again;
    }
    const delivered = message !== undefined;
    if (!(await advanceWebhook(database.db, webhook.name, owner, { seq, delivered }))) return undefined;
  }
  return 'more';
}

type Outcome = { readonly taken: true } | { readonly taken: false; readonly again: Date | undefined };

async function attempt(
  { webhook, sender, database, owner, logger, onOutcome }: WebhookRun,
  delivery: Parameters<Sender['send']>[0],
  failures: number,
): Promise<Outcome> {
  try {
    await sender.send(delivery);
    onOutcome('delivered');
    return { taken: true };
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    onOutcome('failed');
    const { message, gone } = error;
    logger.warn({ webhook: webhook.name, event: delivery.id, why: message, gone }, 'a webhook was not taken');
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** failures, LONGEST_WAIT_MS);
    await failWebhook(database.db, webhook.name, owner, { error: message, waitMs, gone });
    return { taken: false, again: gone ? undefined : new Date(Date.now() + waitMs) };
  }
}
