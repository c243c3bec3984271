import { Agent, request } from 'undici';
import type { WebhookMessage } from '../../core/messages/webhook.ts';
import type { Webhook } from './config.ts';
import { signedHeaders } from './signature.ts';

/** Why a receiver did not take a message. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
  /** It said that it is gone for good. */
  readonly gone: boolean;
  constructor(message: string, gone = false, options?: ErrorOptions) {
    super(message, options);
    this.gone = gone;
  }
}

export interface Delivery {
  /** The same for every attempt with one message. */
  readonly id: string;
  readonly message: WebhookMessage;
  readonly at: Date;
}

/** Sends messages of one webhook, one at a time. */
export interface Sender {
  /** @returns the status, which is of success @throws {DeliveryError} */
  send(delivery: Delivery): Promise<number>;
  close(): Promise<void>;
}

const MAX_ANSWER_BYTES = 16 * 1024;
const GONE = 410;

/** Follows no redirect, and reads no more of an answer than says whether it was a good one. */
export function openSender({ url, keys, ca, timeoutMs }: Webhook): Sender {
  const dispatcher = new Agent({
    connect: { timeout: timeoutMs, ...(ca === undefined ? {} : { ca }) },
    connections: 1,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: MAX_ANSWER_BYTES,
  });
  return {
    async send({ id, message, at }) {
      const body = JSON.stringify(message);
      const headers = { 'content-type': 'application/json', ...signedHeaders(id, at, body, keys) };
      const signal = AbortSignal.timeout(timeoutMs);
      const answer = await request(url, { method: 'POST', body, headers, dispatcher, signal }).catch(
        (cause: Error) => {
          const why = cause.name === 'TimeoutError' ? `no answer in ${timeoutMs} ms` : describe(cause);
          throw new DeliveryError(why, false, { cause });
        },
      );
      // The status has said it: what else it says, or how long it goes on, changes nothing.
      await answer.body.dump({ limit: MAX_ANSWER_BYTES }).catch(() => {});
      const { statusCode } = answer;
      if (statusCode >= 200 && statusCode < 300) return statusCode;
      throw new DeliveryError(`it answered with status ${statusCode}`, statusCode === GONE);
    },
    close: () => dispatcher.destroy(),
  };
}

function describe(error: Error): string {
  const { code } = error as NodeJS.ErrnoException;
  return error.message || code || error.name;
}
