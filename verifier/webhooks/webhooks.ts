import { randomUUID } from 'node:crypto';
import { AssayError } from '../../core/errors.ts';
import type { WebhookMessage, WebhookRecord } from '../../core/messages/webhook.ts';
import type { Database } from '../../platform/database/index.ts';
import type { Logger } from '../../platform/logging.ts';
import { type Loop, startLoop } from '../../platform/loop.ts';
import {
  addWebhooks,
  countPending,
  readWebhooks,
  resumeWebhook,
  type WebhookRow,
} from '../store/webhooks.ts';
import type { Webhook } from './config.ts';
import { DeliveryError, openSender, type Sender } from './deliver.ts';
import { runWebhook } from './run.ts';

/** The webhooks of an installation, as people see them. */
export interface Webhooks {
  list(): Promise<readonly WebhookRecord[]>;
  /** Sends a message of no consequence. @throws {AssayError} `not-found`, `unavailable` with what went wrong */
  test(name: string): Promise<{ readonly status: number }>;
  /** Has one that is gone, or waits, begin again. @throws {AssayError} `not-found` */
  resume(name: string): Promise<void>;
  close(): Promise<void>;
}

export interface WebhooksOptions {
  readonly database: Database;
  readonly logger: Logger;
  readonly onOutcome: (name: string, outcome: 'delivered' | 'failed') => void;
}

/** An event can be missed with the notice's connection; another verifier can die with its lease. */
const LOOK_MS = 30_000;
const DEBOUNCE_MS = 50;
const CHANNEL = 'assay_trust_event';

interface Open {
  readonly webhook: Webhook;
  readonly sender: Sender;
  readonly loop: Loop;
}

/** Starts to deliver: each webhook has a loop of its own, and holds up no other. */
export async function startWebhooks(
  webhooks: readonly Webhook[],
  options: WebhooksOptions,
): Promise<Webhooks> {
  const { database } = options;
  await addWebhooks(
    database.db,
    webhooks.map(({ name }) => name),
  );
  const open = new Map(webhooks.map((webhook) => [webhook.name, start(webhook, options)]));
  const wakeAll = () => {
    for (const { loop } of open.values()) loop.wake();
  };
  const listening = open.size === 0 ? undefined : await database.listen(CHANNEL, wakeAll);
  const named = (name: string): Open => {
    const found = open.get(name);
    if (found) return found;
    const known = [...open.keys()].join(', ') || 'none';
    throw new AssayError('not-found', `there is no webhook ${name}; verifier.webhooks has ${known}`);
  };
  return {
    async list() {
      const rows = await readWebhooks(database.db, [...open.keys()]);
      const found = rows.map((row) => ({ row, webhook: open.get(row.name)?.webhook }));
      return Promise.all(
        found.flatMap(({ row, webhook }) => (webhook ? [recordOf(row, webhook, database)] : [])),
      );
    },
    test: async (name) => sendTest(named(name).sender),
    async resume(name) {
      const { loop } = named(name);
      await resumeWebhook(database.db, name);
      loop.wake();
    },
    async close() {
      await listening?.close();
      await Promise.all([...open.values()].map(({ loop }) => loop.close()));
      await Promise.all([...open.values()].map(({ sender }) => sender.close()));
    },
  };
}

function start(webhook: Webhook, { database, logger, onOutcome }: WebhooksOptions): Open {
  const sender = openSender(webhook);
  const run = {
    ...{ webhook, sender, database, logger, owner: randomUUID() },
    onOutcome: (outcome: 'delivered' | 'failed') => onOutcome(webhook.name, outcome),
  };
  const loop = startLoop({
    name: `webhook ${webhook.name}`,
    run: (signal) => runWebhook(run, signal),
    ...{ intervalMs: LOOK_MS, debounceMs: DEBOUNCE_MS, logger },
  });
  return { webhook, sender, loop };
}

async function recordOf(row: WebhookRow, webhook: Webhook, { db }: Database): Promise<WebhookRecord> {
  const state = row.goneAt ? 'gone' : row.failures > 0 ? 'failing' : 'delivering';
  return {
    name: row.name,
    url: webhook.url.origin,
    state,
    pending: await countPending(db, row.seq, webhook),
    deliveredAt: row.deliveredAt?.toISOString() ?? null,
    failures: row.failures,
    lastError: row.lastError,
    nextAt: state === 'failing' ? row.nextAt.toISOString() : null,
  };
}

const NOBODY = '00000000-0000-8000-8000-000000000000';

async function sendTest(sender: Sender): Promise<{ readonly status: number }> {
  const at = new Date();
  const data = { seq: 0, nodeId: NOBODY, alias: 'test', group: null, epoch: 0, detail: {} };
  const message: WebhookMessage = { type: 'test', timestamp: at.toISOString(), data };
  try {
    return { status: await sender.send({ id: `test-${randomUUID()}`, message, at }) };
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    throw new AssayError('unavailable', `the test was not taken: ${error.message}`, { cause: error });
  }
}
